"""The scores of a run from its predictions: official figures, intervals, conventions. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

from tunelab.metrics import SquadScore, SquadVersion, score_squad
from tunelab.records import Prediction, Score, Scores
from tunelab.statistics import Interval, mean_interval

SQUAD_1 = "official SQuAD 1.1 (evaluate-v1.1.py), percent"
SQUAD_2 = "official SQuAD 2.0 (evaluate-v2.0.py), percent"
COUNT = "number of questions"
TUNED_ON_TEST = (
    "official SQuAD 2.0 sweep over the no-answer probability logistic(null score - span score), "
    "every question answered below it; tuned on test: what a threshold could reach, not a result"
)


def squad_scores(predictions: Sequence[Prediction], *, version: SquadVersion) -> Scores:
    """The content of scores.json: every figure under its official name.

    The 95 % intervals are over paragraphs, for this one trained model.
    """
    scored = score_predictions(predictions, version=version)
    intervals = squad_intervals(scored, [row.group for row in predictions])
    scores: dict[str, Score] = {}
    for name, value in scored.figures().items():
        found = intervals.get(name)
        scores[name] = Score(
            value=value,
            low=found.low if found else None,
            high=found.high if found else None,
            count=found.items if found else int(value),
            convention=convention(version) if found else COUNT,
        )
    for name, value in best_thresholds(predictions).items() if version == "2.0" else ():
        scores[name] = Score(
            value=value, low=None, high=None, count=len(predictions), convention=TUNED_ON_TEST
        )
    return {task_name(version): scores}


def score_predictions(predictions: Sequence[Prediction], *, version: SquadVersion) -> SquadScore:
    """The official score of the final answers, row by row in the order of `predictions`."""
    return score_squad(
        {row.id: row.gold for row in predictions},
        {row.id: row.answer for row in predictions},
        version=version,
    )


def squad_intervals(scored: SquadScore, groups: Sequence[str]) -> dict[str, Interval]:
    """95 % intervals of the figures, in percent, kept within 0 and 100.

    Args:
        scored: of N questions.
        groups: (N,) their paragraphs.
    """
    intervals: dict[str, Interval] = {}
    for name, (rows, scores) in scored.parts().items():
        members = [group for group, wanted in zip(groups, rows, strict=True) if wanted]
        intervals[name] = mean_interval(100 * scores[rows], members).within(0, 100)
    return intervals


def best_thresholds(predictions: Sequence[Prediction]) -> dict[str, float]:
    """The official sweep over the no-answer probability: see `TUNED_ON_TEST`.

    It takes each question's best span as the answer that a threshold may withhold. Empty where
    predictions have no scores.
    """
    probabilities = {
        row.id: _logistic(row.null_score - row.span_score)
        for row in predictions
        if row.null_score is not None and row.span_score is not None
    }
    if not probabilities or len(probabilities) < len(predictions):
        return {}
    return score_squad(
        {row.id: row.gold for row in predictions},
        {row.id: row.output for row in predictions},
        version="2.0",
        no_answer_probabilities=probabilities,
    ).tuned_on_test


def task_name(version: SquadVersion) -> str:
    """The task's name in scores.json and on the command line."""
    match version:
        case "1.1":
            return "squad"
        case "2.0":
            return "squad_v2"
        case _:
            assert_never(version)


def convention(version: SquadVersion) -> str:
    """Whose definitions the figures of a version follow."""
    match version:
        case "1.1":
            return SQUAD_1
        case "2.0":
            return SQUAD_2
        case _:
            assert_never(version)


def _logistic(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))  # does not overflow
