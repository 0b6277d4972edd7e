"""PubMedQA's figures, against a published file and against scikit-learn's definition by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunelab.metrics.pubmedqa import score_pubmedqa


def test_published_predictions_score_what_was_published(shared_data: Path) -> None:
    gold = json.loads((shared_data / "pubmedqa" / "test_ground_truth.json").read_text())
    given = json.loads((shared_data / "expert" / "pubmedqa_preds.json").read_text())
    figures = score_pubmedqa(list(gold.values()), [given[key] for key in gold]).figures()
    assert figures["accuracy"] == pytest.approx(0.756)
    assert round(figures["macro_f1"], 4) == 0.5412
    assert round(100 * figures["f1_maybe"], 1) == 3.1
    assert figures["majority_baseline"] == pytest.approx(0.552)


def test_an_answer_that_is_no_label_is_a_miss_and_no_label_of_its_own() -> None:
    found = score_pubmedqa(["yes", "yes", "no", "maybe"], ["yes", "", "no", "yes"])
    # yes: 1 right, given twice, there twice -> 2/4; no: 1; maybe: never given -> 0
    assert found.figures()["f1_yes"] == pytest.approx(0.5)
    assert found.figures()["macro_f1"] == pytest.approx(0.5)
    assert found.confusion["yes"] == {"yes": 1, "no": 0, "maybe": 0, "": 1}


def test_values_average_to_the_figure_and_vary_as_it_does() -> None:
    """The linearised values reproduce the spread of F1 over resampled data sets."""
    import numpy as np

    random = np.random.default_rng(0)
    labels = np.array(["yes", "no", "maybe"])
    gold = random.choice(labels, 400, p=[0.55, 0.34, 0.11])
    given = np.where(random.random(400) < 0.7, gold, random.choice(labels, 400))
    found = score_pubmedqa(gold.tolist(), given.tolist())
    resampled = []
    for _ in range(200):
        drawn = random.integers(0, 400, 400)
        again = score_pubmedqa(gold[drawn].tolist(), given[drawn].tolist())
        resampled.append(again.figures()["macro_f1"])
    spread = found.macro_f1.std() / np.sqrt(400)
    assert spread == pytest.approx(np.std(resampled), rel=0.15)
