"""What another form of a model costs in the task's own metric, on the same questions."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.evaluation.measure import measure
from tunelab.evaluation.spans import apply_threshold
from tunelab.recipe import Task
from tunelab.records import Prediction
from tunelab.statistics import paired_difference

SCORED = 100
"""Questions, where nobody says how many."""


def score_sentence(
    task: Task,
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    *,
    threshold: float | None,
    change: str,
) -> str:
    """The primary metric before and after a change, and the paired difference with its interval.

    Args:
        task: which was answered.
        before: answers to some questions.
        after: answers to the same, in the same order.
        threshold: above which answers are withheld; None withholds none.
        change: what lies between, such as "merging".
    """
    first, second = (apply_threshold(rows, threshold) for rows in (before, after))
    one, other = measure(task, first), measure(task, second)
    name = one.headline[0]
    metric, changed = one.metrics[name], other.metrics[name]
    groups = [row.group for row, asked in zip(first, metric.about, strict=True) if asked]
    found = paired_difference(changed.values[metric.about], metric.values[metric.about], groups)
    if found.low is None or found.high is None:
        interval = f"without an interval: {found.reason}"
    else:
        group = one.units.group if found.clusters == 1 else f"{one.units.group}s"
        interval = (
            f"[{found.low:+.2f}, {found.high:+.2f}], paired, 95 % over {found.clusters} {group}"
        )
    same = sum(a.answer == b.answer for a, b in zip(first, second, strict=True))
    return (
        f"On the first {len(first)} questions of the run's test set {metric.spoken} is "
        f"{metric.mean:.2f} before {change} and {changed.mean:.2f} after it: {found.value:+.2f} "
        f"({interval}); {same} answers are the same."
    )
