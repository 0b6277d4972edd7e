"""The study's own figures as what `recommendation` and `breakeven` ask for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from tunelab.recipe import NoTuning
from tunelab.report.breakeven import Axis, Place, break_even
from tunelab.report.comparing import Comparison, spoken_names
from tunelab.report.recommendation import (
    Advice,
    CostName,
    Field,
    Limits,
    Option,
    listed,
    recommend,
)
from tunelab.report.study import Items, Run, Study
from tunelab.report.table import Row


def advise(
    study: Study, rows: Sequence[Row], comparisons: Sequence[Comparison], limits: Limits
) -> list[Advice]:
    """The recommendation of a study, on the metric that decides."""
    field, apart = decisive_field(study, rows, comparisons)
    advice = recommend(field, limits=limits)
    for axis in axes(study):
        advice += break_even(field, axis)
    if apart:
        told = f"{listed(apart)} {'was' if len(apart) == 1 else 'were'} scored on other items."
        advice.append(Advice("Not considered", told, ()))
    return advice


def decisive_field(
    study: Study, rows: Sequence[Row], comparisons: Sequence[Comparison]
) -> tuple[Field, list[str]]:
    """The methods that share their items, most of them if there are several sets; and the rest."""
    names = spoken_names(study.methods)
    if not names:
        return Field.of([], [], ""), []
    primary, spoken = next(iter(names.items()))
    sets: dict[Items, list[Row]] = defaultdict(list)
    for row in rows:
        if row.method.items is not None and primary in row.intervals:
            sets[row.method.items].append(row)
    chosen = max(sets.values(), key=len)
    verdicts = [found.verdict for found in comparisons if found.metric == primary]
    options = [_option(row, primary) for row in chosen]
    apart = [row.method.label for row in rows if row.method.finished and row not in chosen]
    return Field.of(options, verdicts, spoken), apart


def axes(study: Study) -> list[Axis]:
    """What the study varies that has an order: training questions, and shots.

    Sets of data that happen to be of several sizes are no levels of anything.
    """
    found: list[Axis] = []
    finished = [run for method in study.methods for run in method.finished]
    for unit, level, setting, name in _AXES:
        if len({setting(run) for run in finished if level(run) is not None}) < 2:
            continue
        places = {
            method.label: Place(re.sub(name, "", method.label), level(method.finished[0]))
            for method in study.methods
            if method.finished
        }
        axis = Axis(unit, places)
        if len(axis.levels) > 1:
            found.append(axis)
    return found


def _train_limit(run: Run) -> int | None:
    """How many questions it was trained on; their number is what the manifest says first.

    An untuned model is the same at every level.
    """
    if isinstance(run.recipe.tuning, NoTuning):
        return None
    counted = run.manifest.data.get("train", "").partition(" ")[0]
    return run.recipe.task.train_limit or (int(counted) if counted.isdecimal() else None)


def _asked_limit(run: Run) -> int | None:
    return run.recipe.task.train_limit


def _shots(run: Run) -> int | None:
    match run.recipe.tuning:
        case NoTuning(shots=shots):
            return shots
        case _:
            return None


_AXES: tuple[tuple[str, Callable[[Run], int | None], Callable[[Run], int | None], str], ...] = (
    ("training questions", _train_limit, _asked_limit, r",train_limit=[^,]*"),
    ("shots", _shots, _shots, r"-\d+-shot"),
)
"""Unit, level of a run, the setting that has to vary, and what the axis adds to a label."""


def _option(row: Row, metric: str) -> Option:
    interval, costs = row.intervals[metric], row.costs
    spent: dict[CostName, tuple[float, ...]] = {
        "time": tuple(cost.seconds_training for cost in costs),
        "memory": tuple(
            float(cost.peak_memory_bytes) for cost in costs if cost.peak_memory_bytes is not None
        ),
        "size": tuple(float(cost.saved_bytes) for cost in costs),
    }
    return Option(
        row.method.label,
        interval.value,
        interval.low,
        interval.high,
        len(row.method.finished),
        spent,
        tuple(run.directory.path.name for run in row.method.finished),
    )
