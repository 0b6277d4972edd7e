"""The sentence on what another form of a model costs in the task's metric."""

from __future__ import annotations

from tunelab.export.scoring import score_sentence
from tunelab.recipe import SquadTask
from tunelab.records import Prediction


def answers(*said: str) -> list[Prediction]:
    """To questions on four paragraphs, two on each, whose right answer is "yes"."""
    return [
        Prediction(
            id=str(place),
            group=f"p{place // 2}",
            article="a",
            output=text,
            answer=text,
            gold=("yes",),
        )
        for place, text in enumerate(said)
    ]


def test_the_difference_is_paired_by_paragraph() -> None:
    before = answers(*["yes"] * 6, "no", "no")
    after = answers("yes", "no", *["yes"] * 4, "no", "no")
    told = score_sentence(SquadTask(kind="squad"), before, after, threshold=None, change="merging")
    assert told.startswith(
        "On the first 8 questions of the run's test set F1 is 75.00 before merging and 62.50 after "
        "it: -12.50 (["
    )
    assert told.endswith("paired, 95 % over 4 paragraphs); 7 answers are the same.")


def test_one_paragraph_gives_no_interval() -> None:
    told = score_sentence(
        SquadTask(kind="squad"), answers("yes", "no"), answers("no", "no"), threshold=None,
        change="rounding to q4_0",
    )  # fmt: skip
    assert "50.00 before rounding to q4_0 and 0.00 after it: -50.00 (without an interval" in told
