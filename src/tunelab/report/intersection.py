"""Methods that were scored on different items, cut down to the items that all of them share.

Only on request: what is left may be an easier or a harder test than any of the whole ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tunelab.errors import UsageError
from tunelab.report.study import Items, Method, Run


def on_shared_items(methods: Sequence[Method]) -> list[Method]:
    """The same finished methods on the items of all of them.

    Raises:
        UsageError: there are none, or the methods take them for different questions.
    """
    tested = [method.items for method in methods if method.items is not None]
    shared = frozenset.intersection(*(frozenset(items.ids) for items in tested))
    if not shared:
        counts = ", ".join(f"{len(items.ids):,}" for items in tested)
        raise UsageError(
            f"There is no item that all {len(tested)} were scored on ({counts} items, 0 ids in "
            "common).",
            hint="Run them with the same task.test.",
        )
    cut = [_cut_method(method, shared) for method in methods]
    for method in cut[1:]:
        _refuse_other_questions(cut[0], method)
    return cut


def _cut_method(method: Method, shared: frozenset[str]) -> Method:
    return replace(method, runs=tuple(_cut(run, shared) for run in method.finished))


def _cut(run: Run, shared: frozenset[str]) -> Run:
    items = run.items
    assert items is not None
    kept = np.array([index for index, key in enumerate(items.ids) if key in shared])

    def some(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(values[index] for index in kept)

    fewer = Items(
        items.task,
        some(items.ids),
        some(items.groups),
        some(items.articles),
        tuple(items.gold[index] for index in kept),
    )
    measured = run.measured
    assert measured is not None
    metrics = {
        name: replace(each, about=each.about[kept], values=each.values[kept])
        for name, each in measured.metrics.items()
    }
    return replace(
        run,
        items=fewer,
        measured=replace(measured, metrics=metrics, figures={}),
        answers=some(run.answers),
    )


def _refuse_other_questions(first: Method, second: Method) -> None:
    a, b = first.items, second.items
    assert a is not None and b is not None
    if a.task != b.task:
        raise UsageError(
            f"{first.label} was scored as {a.task}, {second.label} as {b.task}: the same answers "
            "score differently under the two conventions.",
            hint="Run one of them again with the other's task.",
        )
    other = sum(
        x != y
        for x, y in zip(
            zip(a.groups, a.gold, strict=True), zip(b.groups, b.gold, strict=True), strict=True
        )
    )
    if other:
        raise UsageError(
            f"{other:,} of the {len(a.ids):,} ids that {first.label} and {second.label} share "
            "stand for different questions: another paragraph, or other gold answers.",
            hint="Run both on the same task.test.",
        )
