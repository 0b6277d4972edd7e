"""The scores of a run from its predictions: official figures, intervals, conventions. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import assert_never

from tunelab.evaluation.beside import LITERAL, RISK_COVERAGE, answering_curve, literal_score
from tunelab.metrics import SquadScore, SquadVersion, score_squad
from tunelab.metrics.squad import Floats, Mask
from tunelab.records import Prediction, Score, Scores
from tunelab.statistics import Interval, mean_interval

SQUAD_1 = "official SQuAD 1.1 (evaluate-v1.1.py), percent"
SQUAD_2 = "official SQuAD 2.0 (evaluate-v2.0.py), percent"
AS_DECODED = f"{SQUAD_2}, of the answers as decoded: no threshold withholds any"
COUNT = "number of questions"
TUNED_ON_TEST = (
    "official SQuAD 2.0 sweep over the no-answer probability logistic(null score - span score), "
    "every question answered below it; tuned on test: what a threshold could reach, not a result"
)


def squad_scores(predictions: Sequence[Prediction], *, version: SquadVersion) -> Scores:
    """The content of scores.json: the official figures, and what stands beside them.

    The 95 % intervals are over paragraphs, for this one trained model.
    """
    groups = [row.group for row in predictions]
    scores = _official(score_predictions(predictions, version=version), groups)
    if version == "2.0":
        scores |= _without_threshold(predictions, groups)
    literal = part_intervals(literal_score(predictions).parts(), groups)
    scores |= {name: _score(found, LITERAL) for name, found in literal.items()}
    return {squad_task_name(version): scores}


def _official(scored: SquadScore, groups: Sequence[str]) -> dict[str, Score]:
    intervals = squad_intervals(scored, groups)
    return {
        name: _score(intervals[name], convention(scored.version))
        if name in intervals
        else Score(value=value, low=None, high=None, count=int(value), convention=COUNT)
        for name, value in scored.figures().items()
    }


def _without_threshold(
    predictions: Sequence[Prediction], groups: Sequence[str]
) -> dict[str, Score]:
    """What is said of the answers whatever the run's own threshold made of them."""
    count = len(predictions)
    scores = {
        name: Score(value=value, low=None, high=None, count=count, convention=TUNED_ON_TEST)
        for name, value in best_thresholds(predictions).items()
    }
    if any(row.decoded for row in predictions):
        intervals = squad_intervals(_score_outputs(predictions), groups)
        scores |= {f"decoded_{name}": _score(i, AS_DECODED) for name, i in intervals.items()}
    curve = answering_curve(predictions)
    if curve is not None:
        scores["risk_coverage_area"] = Score(
            value=curve.area, low=None, high=None, count=count, convention=RISK_COVERAGE
        )
    return scores


def _score(found: Interval, told: str) -> Score:
    return Score(
        value=found.value, low=found.low, high=found.high, count=found.items, convention=told
    )


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
    percent = {name: (rows, 100 * scores) for name, (rows, scores) in scored.parts().items()}
    return part_intervals(percent, groups, highest=100)


def part_intervals(
    parts: Mapping[str, tuple[Mask, Floats]], groups: Sequence[str], *, highest: float = 1
) -> dict[str, Interval]:
    """95 % intervals of figures that are each about some rows, kept within 0 and `highest`."""
    intervals: dict[str, Interval] = {}
    for name, (rows, scores) in parts.items():
        members = [group for group, wanted in zip(groups, rows, strict=True) if wanted]
        intervals[name] = mean_interval(scores[rows], members).within(0, highest)
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
    return _score_outputs(predictions, probabilities).tuned_on_test


def _score_outputs(
    predictions: Sequence[Prediction], probabilities: Mapping[str, float] | None = None
) -> SquadScore:
    """The official 2.0 score of the answers before any threshold."""
    return score_squad(
        {row.id: row.gold for row in predictions},
        {row.id: row.output for row in predictions},
        version="2.0",
        no_answer_probabilities=probabilities,
    )


def squad_task_name(version: SquadVersion) -> str:
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
