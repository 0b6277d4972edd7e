"""What a run is judged by: the metrics of its task, item by item. No torch.

A metric is a mean over the items it is about, so that intervals and paired differences are the same
business for every task. Reports ask here what they show, and which metric they speak of first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from tunelab.evaluation import choice_scores
from tunelab.evaluation.metric import Measured, Metric, Units
from tunelab.evaluation.scores import (
    convention,
    part_intervals,
    score_predictions,
    squad_scores,
    squad_task_name,
)
from tunelab.recipe import (
    ArcTask,
    HellaswagTask,
    MmluTask,
    PubmedqaTask,
    SquadTask,
    Task,
    TruthfulqaTask,
)
from tunelab.records import Prediction, Score, Scores

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
    parts = {
        name: (metric.about, metric.values / 100)
        for name, metric in {**measured.metrics, **measured.beside}.items()
    }
    return {
        measured.task: {
            name: Score(
                value=measured.figures[name],
                low=found.low,
                high=found.high,
                count=found.items,
                convention=measured.convention,
            )
            for name, found in part_intervals(parts, groups).items()
        }
    }


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
        case _:
            assert_never(task)


def task_name(task: Task) -> str:
    """The task's name in scores.json and on the command line."""
    match task:
        case SquadTask():
            return squad_task_name(task.version)
        case ArcTask():
            return f"arc_{task.part}"
        case _:
            return task.kind


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
