"""ROUGE-L is that of Google's rouge_score."""

from __future__ import annotations

import random

import pytest

from tunelab.metrics.rouge import rouge_l

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "it's", "42", "naïve", "café", "Über-dog"]


def test_numbers_of_the_paper() -> None:
    # Lin 2004, section 3: "police killed the gunman"
    assert rouge_l("police kill the gunman", ["police killed the gunman"]) == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", ["police killed the gunman"]) == pytest.approx(2 / 4)
    assert rouge_l("", ["police"]) == 0
    assert rouge_l("中文", ["中文"]) == 0  # as there: letters of other scripts count for nothing


def test_equals_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="comes with lm-eval")
    official = scorer.RougeScorer(["rougeL"], use_stemmer=False)
    draw = random.Random(0)
    for _ in range(200):
        text, *references = (" ".join(draw.choices(WORDS, k=draw.randint(0, 30))) for _ in range(3))
        expected = official.score_multi(references, text)["rougeL"].fmeasure
        assert rouge_l(text, references) == pytest.approx(expected, abs=1e-12)
