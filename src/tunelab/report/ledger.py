"""The forgetting ledger: what tuning gained on its task, and what it lost elsewhere.

Every figure is a paired difference to the untuned model on the same questions, with an interval and
a verdict. Files alone; where there is no untuned model to compare with, there is no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunelab.errors import RecordError, UsageError
from tunelab.evaluation.measure import measure, part_rows
from tunelab.evaluation.metric import Measured, Metric
from tunelab.recipe import (
    MixtureTask,
    Recipe,
    SingleTask,
    Task,
    digest,
    part_names,
    task_name,
    untuned_on,
    untuned_on_own,
)
from tunelab.records import Prediction, RunDirectory, find_runs
from tunelab.report.figures import duration, middle
from tunelab.report.study import Method, Run, Study, read_run
from tunelab.statistics import Difference, Verdict, digits_for, judge, paired_difference

BASE = "base"
"""Where `tunelab run` puts the untuned models, and what they are called here."""
_ANY_LENGTH = 0
"""Stands for all that a model can read, which its files do not tell."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One method on one task, against the untuned model."""

    task: str
    spoken: str
    """Name of the task's first metric."""
    scale: float
    """Of its metric: 100 for points."""
    base: float
    """In the unit of tables, as is `tuned`."""
    tuned: float
    verdict: Verdict
    target: bool
    """Whether it is the task that was tuned on, or a part of it."""
    beside: str = ""
    """Further figures of the cell, such as bits per byte."""

    @property
    def in_points(self) -> bool:
        """Whether its difference counts among points gained and lost; a perplexity's does not."""
        return self.scale == 100.0

    @property
    def difference(self) -> Difference:
        """Tuned minus untuned."""
        return self.verdict.difference


@dataclass(frozen=True, slots=True)
class Account:
    """All entries of one method, its own task first."""

    method: Method
    entries: tuple[Entry, ...]

    @property
    def gained(self) -> float:
        """Points gained on the task that was tuned on, or on its parts together."""
        return sum(each.difference.value for each in self.entries if each.target and each.in_points)

    @property
    def lost(self) -> float:
        """Points lost on the others together; what rose elsewhere makes up for nothing."""
        elsewhere = [each for each in self.entries if each.in_points and not each.target]
        return sum(max(0.0, -each.difference.value) for each in elsewhere)

    @property
    def gained_per_lost(self) -> float | None:
        """None where nothing was lost."""
        return self.gained / self.lost if self.lost > 0 else None

    @property
    def seconds(self) -> float | None:
        """Of training, the median of the seeds."""
        costs = [run.manifest.cost for run in self.method.finished if run.manifest.cost]
        return middle([cost.seconds_training for cost in costs]) if costs else None

    @property
    def gained_per_hour(self) -> float | None:
        """None where nothing was trained."""
        return 3600 * self.gained / self.seconds if self.seconds else None


@dataclass(frozen=True, slots=True)
class _Scored:
    """What a model scores on one task."""

    measured: Measured
    rows: dict[str, Prediction]
    """By id; ordered."""

    @classmethod
    def of(cls, task: Task, rows: Sequence[Prediction]) -> _Scored:
        ordered = sorted(rows, key=lambda row: row.id)
        return cls(measure(task, ordered), {row.id: row for row in ordered})

    @property
    def metric(self) -> Metric:
        """The first one."""
        return self.measured.metrics[self.measured.headline[0]]

    @property
    def groups(self) -> list[str]:
        """Of the items, in the order of the metric's values."""
        return [row.group for row in self.rows.values()]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A task that a method and the untuned model were asked."""

    name: str
    task: SingleTask
    whole: Task
    """What its predictions lie under: itself, or the mixture that it is a part of."""
    base: str
    """What the untuned model's predictions are found under."""
    target: bool

    def score(self, rows: Sequence[Prediction]) -> _Scored:
        """Of predictions about the whole."""
        wanted = part_rows(self.name, rows) if isinstance(self.whole, MixtureTask) else rows
        return _Scored.of(self.task, wanted)


_Compared = tuple[Method, _Scored, list[_Scored], bool]


def read_ledger(study: Study) -> list[Account]:
    """The accounts of all methods with finished runs; empty without untuned models.

    Raises:
        RecordError: a file is damaged.
    """
    bases = _read_bases(study.directory / BASE)
    if not bases:
        return []
    found: dict[str, list[_Compared]] = {}
    for method in study.methods:
        for asked in _asked(method):
            rows = bases.get(asked.base)
            if rows is not None:
                base = asked.score(rows)
                tuned = [asked.score(_tuned(run, asked)) for run in method.finished]
                _refuse_other_questions(base, tuned)
                found.setdefault(asked.name, []).append((method, base, tuned, asked.target))
    entries: dict[str, list[Entry]] = {method.label: [] for method in study.methods}
    for name, compared in found.items():
        for (method, base, tuned, target), verdict in zip(compared, _judge(compared), strict=True):
            entries[method.label].append(
                Entry(
                    task=name,
                    spoken=base.metric.spoken,
                    scale=base.metric.scale,
                    base=base.metric.mean,
                    tuned=_mean(each.metric for each in tuned),
                    verdict=verdict,
                    target=target,
                    beside=_beside(base, tuned),
                )
            )
    return [
        Account(method, tuple(sorted(entries[method.label], key=lambda each: not each.target)))
        for method in study.methods
        if any(each.target for each in entries[method.label])
    ]


def ledger_markdown(accounts: Sequence[Account]) -> str:
    """One row a method: before, after and difference for each task, and what a loss bought."""
    tasks = list(dict.fromkeys(each.task for account in accounts for each in account.entries))
    own = {each.task for account in accounts for each in account.entries if each.target}
    heads = [f"{name} (own task)" if name in own else name for name in tasks]
    lines = [
        "| method | "
        + " | ".join(heads)
        + " | points lost | gained per point lost | training | gained per hour |",
        "| --- |" + " ---: |" * (len(tasks) + 4),
    ]
    for account in accounts:
        by_task = {each.task: each for each in account.entries}
        cells = [_cell(by_task[name]) if name in by_task else "-" for name in tasks]
        cells += [
            f"{account.lost:.1f}",
            "nothing lost" if account.gained_per_lost is None else f"{account.gained_per_lost:.1f}",
            "-" if account.seconds is None else duration(account.seconds),
            "-" if account.gained_per_hour is None else f"{account.gained_per_hour:.1f}",
        ]
        label = account.method.label.replace("|", "\\|")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ledger_sentences(accounts: Sequence[Account]) -> list[str]:
    """The verdicts, task by task, and what the figures are."""
    told = [
        f"{each.task}: {each.verdict.sentence}" for account in accounts for each in account.entries
    ]
    return [
        *told,
        "Each cell: the first metric of the task, untuned > tuned, and the difference with its "
        "95 % interval, paired on the same questions; verdicts are corrected by Holm's method for "
        "all methods of a task. Points lost: the sum of all losses elsewhere, separable or not; a "
        "perplexity, where lower is better, is not counted among them.",
    ]


def ledger_document(accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """For comparisons.json: one object a method and task."""
    return [
        {
            "method": account.method.label,
            "task": each.task,
            "own_task": each.target,
            "metric": each.spoken,
            "untuned": each.base,
            "tuned": each.tuned,
            "difference": each.difference.value,
            "low": each.difference.low,
            "high": each.difference.high,
            "outcome": each.verdict.outcome,
            "sentence": each.verdict.sentence,
            "items": each.difference.items,
            "points_lost": account.lost,
            "gained_per_point_lost": account.gained_per_lost,
            "gained_per_hour": account.gained_per_hour,
        }
        for account in accounts
        for each in account.entries
    ]


def _read_bases(directory: Path) -> dict[str, list[Prediction]]:
    """The predictions of the untuned models, by what they are looked for under.

    Where two differ in what they read alone, the one that reads more answers for the further tasks.
    """
    try:
        places = find_runs(directory)
    except UsageError:
        return {}
    runs = [run for run in map(read_run, places) if run.status == "ok"]
    found: dict[str, list[Prediction]] = {}
    for run in sorted(runs, key=lambda run: run.recipe.model.max_length):
        rows = run.directory.read_predictions()
        found[digest(run.recipe)] = found[_whatever_it_reads(run.recipe)] = rows
    return found


def _whatever_it_reads(base: Recipe) -> str:
    """How much a model can read is not known without it; an untuned one is found all the same."""
    model = base.model.model_copy(update={"max_length": _ANY_LENGTH})
    return f"of any length: {digest(base.model_copy(update={'model': model}))}"


def _asked(method: Method) -> list[_Asked]:
    """The method's own task, or its parts, and the others."""
    if not method.finished or not method.finished[0].recipe.also_evaluate:
        return []
    recipe = method.finished[0].recipe
    task, base = recipe.task, digest(untuned_on_own(recipe))
    if isinstance(task, MixtureTask):
        parts = zip(part_names(task), task.parts, strict=True)
        own = [_Asked(name, part, task, base, target=True) for name, part in parts]
    else:
        own = [_Asked(task_name(task), task, task, base, target=True)]
    others = [
        (each, _whatever_it_reads(untuned_on(each, recipe, max_length=_ANY_LENGTH)))
        for each in recipe.also_evaluate
    ]
    return own + [_Asked(task_name(each), each, each, base, target=False) for each, base in others]


def _tuned(run: Run, asked: _Asked) -> list[Prediction]:
    place: RunDirectory = run.directory
    return place.read_predictions() if asked.target else place.read_ablated(asked.name)


def _refuse_other_questions(base: _Scored, tuned: Sequence[_Scored]) -> None:
    for each in tuned:
        if list(each.rows) != list(base.rows):
            raise RecordError(
                f"{base.measured.task}: the untuned model answered {len(base.rows):,} questions, "
                f"the tuned one {len(each.rows):,}, not all the same.",
                hint="The data changed between the runs. Move the output directory away and run "
                "again.",
            )


def _judge(compared: Sequence[_Compared]) -> list[Verdict]:
    """Verdicts on all methods against the untuned model, on one task."""
    first = compared[0][1]
    assert first.metric.about.all(), "first metrics are about all questions"
    differences = [
        (
            method.label,
            "the untuned model",
            paired_difference(
                np.stack([each.metric.values for each in tuned]), base.metric.values, base.groups
            ),
        )
        for method, base, tuned, _ in compared
    ]
    return judge(
        differences,
        metric=first.metric.spoken,
        unit=first.measured.units.group,
        lower_is_better=first.metric.lower_is_better,
    )


def _mean(metrics: Iterable[Metric]) -> float:
    """Of the seeds."""
    return float(np.mean([metric.mean for metric in metrics]))


def _beside(base: _Scored, tuned: Sequence[_Scored]) -> str:
    """The bits per byte of general text, before and after."""
    name = "bits_per_byte"
    if base.measured.headline[0] != "perplexity" or name not in base.measured.metrics:
        return ""
    after = _mean(each.measured.metrics[name] for each in tuned)
    before = base.measured.metrics[name].mean
    return f"; {before:.3f} > {after:.3f} bits per byte"


def _cell(entry: Entry) -> str:
    found = entry.difference
    if found.low is None or found.high is None:
        told = f"{entry.base:.1f} > {entry.tuned:.1f} {entry.spoken}: {found.value:+.1f}"
        return told + entry.beside
    digits = digits_for(found.high - found.low)
    before, after = f"{entry.base:.{digits}f}", f"{entry.tuned:.{digits}f}"
    around = f"[{found.low:.{digits}f}, {found.high:.{digits}f}]"
    told = f"{before} > {after} {entry.spoken}: {found.value:+.{digits}f} {around}"
    return told + entry.beside
