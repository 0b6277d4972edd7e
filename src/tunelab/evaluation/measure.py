"""What a run is judged by: the metrics of its task, item by item. No torch.

A metric is a mean over the items it is about, so that intervals and paired differences are the same
business for every task. Reports ask here what they show, and which metric they speak of first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from tunelab.evaluation import choice_scores, written_scores
from tunelab.evaluation.metric import Measured, Metric, Units
from tunelab.evaluation.scores import (
    convention,
    score_predictions,
    squad_scores,
)
from tunelab.metrics.squad import Mask
from tunelab.recipe import (
    ArcTask,
    ChatTask,
    HellaswagTask,
    MixtureTask,
    MmluTask,
    PubmedqaTask,
    SquadTask,
    Task,
    TextQaTask,
    TextTask,
    TruthfulqaTask,
    part_names,
    task_name,
)
from tunelab.records import Prediction, Score, Scores
from tunelab.statistics import mean_interval

_SQUAD = {
    "exact_match": "EM",
    "exact": "EM",
    "f1": "F1",
    "HasAns_exact": "HasAns EM",
    "HasAns_f1": "HasAns F1",
    "NoAns_exact": "NoAns EM",
    "NoAns_f1": "NoAns F1",
}
"""Official name -> spoken name."""


def measure(task: Task, predictions: Sequence[Prediction]) -> Measured:
    """The metrics of `task` on predictions of its items, at least one."""
    match task:
        case SquadTask():
            return _measure_squad(task, predictions)
        case PubmedqaTask():
            return choice_scores.measure_pubmedqa(task_name(task), predictions)
        case MmluTask():
            return choice_scores.measure_mmlu(task_name(task), predictions)
        case ArcTask() | HellaswagTask():
            return choice_scores.measure_choices(task_name(task), predictions)
        case TruthfulqaTask():
            return choice_scores.measure_truthfulqa(task_name(task), predictions)
        case ChatTask():
            return written_scores.measure_replies(task.kind, predictions, unit="conversation")
        case TextQaTask():
            return written_scores.measure_replies(task.kind, predictions, unit="text")
        case TextTask():
            return written_scores.measure_text(task.kind, predictions)
        case MixtureTask():
            return _measure_mixture(task, predictions)
        case _:
            assert_never(task)


def first_metric(task: Task, predictions: Sequence[Prediction]) -> float:
    """The figure that the task is judged by, in points."""
    measured = measure(task, predictions)
    return measured.metrics[measured.headline[0]].mean


def task_scores(task: Task, predictions: Sequence[Prediction]) -> Scores:
    """The content of scores.json: figures with intervals for this one trained model."""
    if isinstance(task, SquadTask):
        return squad_scores(predictions, version=task.version)
    measured = measure(task, predictions)
    groups = [row.group for row in predictions]
    scores: dict[str, Score] = {}
    for name, metric in {**measured.metrics, **measured.beside}.items():
        members = [group for group, about in zip(groups, metric.about, strict=True) if about]
        found = mean_interval(metric.values[metric.about] / metric.scale, members)
        found = found.within(0, metric.highest / metric.scale)
        scores[name] = Score(
            value=measured.figures[name],
            low=found.low,
            high=found.high,
            count=found.items,
            convention=measured.convention,
        )
    return {measured.task: scores}


def primary(task: Task) -> str:
    """The metric that choices are made by, such as that of a search."""
    match task:
        case SquadTask():
            return "f1"
        case PubmedqaTask():
            return "accuracy"
        case MmluTask():
            return "acc"
        case ArcTask() | HellaswagTask():
            return "acc_norm"
        case TruthfulqaTask():
            return "mc2"
        case ChatTask() | TextQaTask():
            return "f1"
        case TextTask():
            return "perplexity"
        case MixtureTask():
            parts = zip(part_names(task), task.parts, strict=True)
            name, part = next(each for each in parts if not isinstance(each[1], TextTask))
            return f"{name}/{primary(part)}"
        case _:
            assert_never(task)


def _measure_squad(task: SquadTask, predictions: Sequence[Prediction]) -> Measured:
    scored = score_predictions(predictions, version=task.version)
    return Measured(
        task=task_name(task),
        convention=convention(task.version),
        units=Units("paragraph", "article"),
        metrics={
            name: Metric(_SQUAD[name], about, 100 * values)
            for name, (about, values) in scored.parts().items()
        },
        headline=("f1", "exact_match" if task.version == "1.1" else "exact"),
        figures=scored.figures(),
    )


def _measure_mixture(task: MixtureTask, predictions: Sequence[Prediction]) -> Measured:
    """The metrics of every part, each about the items of its part; headlines are their first."""
    metrics: dict[str, Metric] = {}
    beside: dict[str, Metric] = {}
    headline: list[str] = []
    conventions: list[str] = []
    for name, part in zip(part_names(task), task.parts, strict=True):
        rows = part_rows(name, predictions)
        if not rows:
            continue
        places = np.array([_is_of(row, name) for row in predictions])
        found = measure(part, rows)
        for there, here in ((found.metrics, metrics), (found.beside, beside)):
            here |= {
                f"{name}/{key}": _within(name, metric, places) for key, metric in there.items()
            }
        headline.append(f"{name}/{found.headline[0]}")
        conventions.append(f"{name}: {found.convention}")
    return Measured(
        task=task.kind,
        convention="; ".join(conventions) + "; all as fractions here, but for loss and the like",
        units=Units("item"),
        metrics=metrics,
        headline=tuple(sorted(headline, key=lambda name: metrics[name].lower_is_better)),
        figures={name: metric.figure for name, metric in {**metrics, **beside}.items()},
        beside=beside,
    )


def part_rows(name: str, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions about the items of one part of a mixture."""
    return [row for row in predictions if _is_of(row, name)]


def _is_of(row: Prediction, name: str) -> bool:
    return row.id.startswith(f"{name}/")


def _within(name: str, metric: Metric, places: Mask) -> Metric:
    """A metric of a part as one of the whole."""
    about = np.zeros(len(places), dtype=np.bool_)
    about[places] = metric.about
    values = np.zeros(len(places), dtype=np.float64)
    values[places] = metric.values
    return replace(metric, spoken=f"{name} {metric.spoken}", about=about, values=values)
