"""What a run is judged by: the metrics of its task, item by item. No torch.

A metric is a mean over the items it is about, so that intervals and paired differences are the same
business for every task. Reports ask here what they show, and which metric they speak of first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.evaluation.scores import convention, score_predictions, squad_scores, task_name
from tunelab.metrics.squad import Floats, Mask
from tunelab.recipe import Task
from tunelab.records import Prediction, Scores


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure as values of N items."""

    spoken: str
    """Its name in tables and sentences, such as EM."""
    about: Mask
    """(N,) the items that the figure is about."""
    values: Floats
    """(N,) in points: the mean over `about` is 100 times the fraction."""


@dataclass(frozen=True, slots=True)
class Units:
    """What the items of a task are grouped by, in the singular."""

    group: str = "paragraph"
    """The unit of resampling: items of one group are not independent."""
    wider: str | None = "article"
    """A larger one, for an interval beside it; None where there is none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of a task on some predictions, in their order."""

    task: str
    """Its name in scores.json."""
    convention: str
    """Whose definitions the metrics follow."""
    units: Units
    metrics: dict[str, Metric]
    """By their names in scores.json, in the order of tables."""
    headline: tuple[str, ...]
    """What verdicts speak of; the first is the primary metric."""
    figures: dict[str, float]
    """The values that scores.json holds for these predictions."""


def measure(task: Task, predictions: Sequence[Prediction]) -> Measured:
    """The metrics of `task` on predictions of its items."""
    scored = score_predictions(predictions, version=task.version)
    return Measured(
        task=task_name(task.version),
        convention=convention(task.version),
        units=Units(),
        metrics={
            name: Metric(_SQUAD[name], about, 100 * values)
            for name, (about, values) in scored.parts().items()
        },
        headline=("f1", "exact_match" if task.version == "1.1" else "exact"),
        figures=scored.figures(),
    )


def task_scores(task: Task, predictions: Sequence[Prediction]) -> Scores:
    """The content of scores.json."""
    return squad_scores(predictions, version=task.version)


PRIMARY = "f1"
"""The metric that choices are made by, such as that of a search."""

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
