"""Ablations: other contexts for the same questions, and the gold answers as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.command import tunelab

from tunelab.data import Answer, Example
from tunelab.errors import DataError
from tunelab.evaluation.ablations import ablate, derangement, with_gold
from tunelab.records import Prediction


def examples(paragraphs: int) -> list[Example]:
    return [
        Example(
            id=f"q{group}-{number}",
            question="Who?",
            context=f"Context {group}.",
            answers=(Answer("Context", 0),),
            group=f"p{group}",
            article="a",
        )
        for group in range(paragraphs)
        for number in range(3)
    ]


@given(st.integers(2, 60), st.integers(0, 5))
def test_a_derangement_leaves_nothing_in_its_place(count: int, seed: int) -> None:
    names = [f"p{index}" for index in range(count)]
    other = derangement(names, seed=seed)
    assert sorted(other.values()) == sorted(names)
    assert all(name != found for name, found in other.items())


def test_questions_of_a_paragraph_move_together_to_another_one() -> None:
    before = examples(5)
    after = ablate(before, "shuffled-context", seed=1)
    assert [each.id for each in after] == [each.id for each in before]
    assert [each.group for each in after] == [each.group for each in before]
    assert all(a.context != b.context for a, b in zip(after, before, strict=True))
    assert len({(each.group, each.context) for each in after}) == 5
    assert ablate(before, "shuffled-context", seed=1) == after
    assert ablate(before, "shuffled-context", seed=2) != after


def test_without_a_context_the_gold_answers_stay() -> None:
    before = examples(2)
    after = ablate(before, "question-only", seed=0)
    assert {each.context for each in after} == {""}
    assert {each.answers for each in after} == {()}
    rows = [
        Prediction(id=e.id, group=e.group, article=e.article, output="", answer="", gold=e.gold)
        for e in after
    ]
    assert [row.gold for row in with_gold(rows, before)] == [each.gold for each in before]


def test_one_paragraph_cannot_be_exchanged() -> None:
    with pytest.raises(DataError, match="one paragraph in all"):
        ablate(examples(1), "shuffled-context", seed=0)


def test_an_encoder_answers_an_empty_context_with_nothing(small_encoder: Path) -> None:
    import numpy as np
    from transformers import AutoTokenizer

    from tunelab.evaluation.spans import WindowLogits, read_spans
    from tunelab.prompts.windows import encode_windows
    from tunelab.recipe import Model

    bare = ablate(examples(2), "question-only", seed=0)
    settings = Model(path=str(small_encoder), max_length=64, stride=8)
    windows = encode_windows(bare, AutoTokenizer.from_pretrained(small_encoder), settings)
    assert len(windows) == len(bare)
    logits = [
        WindowLogits(window, *np.zeros((2, len(window.input_ids)), dtype=np.float32))
        for window in windows
    ]
    rows = read_spans(bare, logits, n_best=5, max_answer_tokens=10)
    assert {row.output for row in rows} == {""}


@pytest.mark.slow
def test_both_families_are_asked_why_they_score_on_real_questions(
    shared_data: Path, small_encoder: Path, small_decoder: Path, tmp_path: Path
) -> None:
    """Through the command line on SQuAD 2.0: random weights know nothing without the context."""
    squad = shared_data / "squad"
    ablations = ["question-only", "shuffled-context"]
    recipe = {
        "name": "why",
        "task": {
            "train": str(squad / "xquad.en.json"),
            "test": str(squad / "dev-v2.0.json.gz"),
            "train_limit": 16,
            "test_limit": 40,
            "validation": 0,
        },
        "tuning": {"kind": "none"},
        "evaluation": {"ablations": ablations, "no_answer_threshold": "decoded"},
        "grid": {
            "cases": [
                {"model": {"path": str(small_encoder), "max_length": 160, "stride": 40}},
                {
                    "model": {"path": str(small_decoder), "max_length": 1800},
                    "evaluation": {"contamination": True, "max_new_tokens": 3},
                },
            ]
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "out"
    done = tunelab("run", tmp_path / "recipe.yaml", "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    document = json.loads((out / "comparisons.json").read_text())
    found = [(row["ablation"], row["metric"]) for row in document["ablations"]]
    assert sorted(set(found)) == sorted((a, m) for a in ablations for m in ("F1", "HasAns F1"))
    assert len(found) == 8
    bare = [row for row in document["ablations"] if row["ablation"] == "question-only"]
    assert all(row["remains"] < 5 for row in bare if row["metric"] == "HasAns F1")
    [order] = document["order_of_test_set"]
    assert order["questions"] > 20
    assert 0 < order["p_value"] < 1
    for run in (out / "runs").iterdir():
        asked = [json.loads(line)["id"] for line in (run / "predictions.jsonl").open()]
        for name in ablations:
            rows = [json.loads(line) for line in (run / f"predictions-{name}.jsonl").open()]
            assert [row["id"] for row in rows] == asked
    page = (out / "report.html").read_text()
    assert "Why it scores" in page
    assert "remain with the context of another paragraph" in page
