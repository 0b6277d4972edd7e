"""The forgetting ledger: what tuning gained on its task, and what it lost elsewhere.

Every figure is a paired difference to the untuned model on the same questions, with an interval and
a verdict. Files alone; where there is no untuned model to compare with, there is no ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunelab.errors import RecordError, UsageError
from tunelab.evaluation.measure import measure, task_name
from tunelab.evaluation.metric import Measured
from tunelab.metrics.squad import Floats
from tunelab.recipe import Model, Task
from tunelab.records import Prediction, RunDirectory, find_runs
from tunelab.report.figures import duration, middle
from tunelab.report.study import Method, Run, Study, read_run
from tunelab.statistics import Difference, Verdict, judge, paired_difference

BASE = "base"
"""Where `tunelab run` puts the untuned models, and what they are called here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One method on one task, against the untuned model."""

    task: str
    spoken: str
    """Name of the task's first metric."""
    base: float
    """In points, as is `tuned`."""
    tuned: float
    verdict: Verdict
    target: bool
    """Whether it is the task that was tuned on."""

    @property
    def difference(self) -> Difference:
        """Tuned minus untuned, in points."""
        return self.verdict.difference


@dataclass(frozen=True, slots=True)
class Account:
    """All entries of one method, its own task first."""

    method: Method
    entries: tuple[Entry, ...]

    @property
    def gained(self) -> float:
        """Points gained on the task that was tuned on."""
        return self.entries[0].difference.value

    @property
    def lost(self) -> float:
        """Points lost on the others together; what rose elsewhere makes up for nothing."""
        return sum(max(0.0, -each.difference.value) for each in self.entries if not each.target)

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
    """A model's first metric on one task."""

    measured: Measured
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Floats
    """(N,) in points, in the order of `ids`."""

    @classmethod
    def of(cls, task: Task, rows: Sequence[Prediction]) -> _Scored:
        ordered = sorted(rows, key=lambda row: row.id)
        measured = measure(task, ordered)
        return cls(
            measured,
            tuple(row.id for row in ordered),
            tuple(row.group for row in ordered),
            measured.metrics[measured.headline[0]].values,
        )


def read_ledger(study: Study) -> list[Account]:
    """The accounts of all methods with finished runs; empty without untuned models.

    Raises:
        RecordError: a file is damaged.
    """
    bases = _read_bases(study.directory / BASE)
    if not bases:
        return []
    found: dict[str, list[tuple[Method, _Scored, list[_Scored], bool]]] = {}
    for method in study.methods:
        for task in _tasks(method):
            base = bases.get(_key(method.finished[0].recipe.model, task))
            if base is not None:
                target = task == method.finished[0].recipe.task
                tuned = [_tuned(run, task, target=target) for run in method.finished]
                _refuse_other_questions(base, tuned)
                found.setdefault(task_name(task), []).append((method, base, tuned, target))
    entries: dict[str, list[Entry]] = {method.label: [] for method in study.methods}
    for name, compared in found.items():
        for (method, base, tuned, target), verdict in zip(compared, _judge(compared), strict=True):
            entries[method.label].append(
                Entry(
                    task=name,
                    spoken=_spoken(base.measured),
                    base=float(base.values.mean()),
                    tuned=float(np.mean([each.values.mean() for each in tuned])),
                    verdict=verdict,
                    target=target,
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
    target = accounts[0].entries[0].task
    heads = [f"{name} (own task)" if name == target else name for name in tasks]
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
        "all methods of a task. Points lost: the sum of all losses elsewhere, separable or not.",
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


def _read_bases(directory: Path) -> dict[str, _Scored]:
    try:
        places = find_runs(directory)
    except UsageError:
        return {}
    found: dict[str, _Scored] = {}
    for place in places:
        run = read_run(place)
        if run.status == "ok":
            rows = place.read_predictions()
            found[_key(run.recipe.model, run.recipe.task)] = _Scored.of(run.recipe.task, rows)
    return found


def _key(model: Model, task: Task) -> str:
    """What an untuned model is told by; how much it reads of a text is the task's business."""
    told = model.model_dump_json(exclude={"max_length", "stride"})
    return f"{told}\n{task.model_dump_json()}"


def _tasks(method: Method) -> list[Task]:
    if not method.finished:
        return []
    recipe = method.finished[0].recipe
    return [recipe.task, *recipe.also_evaluate] if recipe.also_evaluate else []


def _tuned(run: Run, task: Task, *, target: bool) -> _Scored:
    place: RunDirectory = run.directory
    rows = place.read_predictions() if target else place.read_ablated(task_name(task))
    return _Scored.of(task, rows)


def _refuse_other_questions(base: _Scored, tuned: Sequence[_Scored]) -> None:
    for each in tuned:
        if each.ids != base.ids:
            raise RecordError(
                f"{base.measured.task}: the untuned model answered {len(base.ids):,} questions, "
                f"the tuned one {len(each.ids):,}, not all the same.",
                hint="The data changed between the runs. Move the output directory away and run "
                "again.",
            )


def _judge(compared: Sequence[tuple[Method, _Scored, list[_Scored], bool]]) -> list[Verdict]:
    """Verdicts on all methods against the untuned model, on one task."""
    measured = compared[0][1].measured
    about = measured.metrics[measured.headline[0]].about
    assert about.all(), "first metrics are about all questions"
    differences = [
        (
            method.label,
            "the untuned model",
            paired_difference(
                np.stack([each.values for each in tuned]), base.values, list(base.groups)
            ),
        )
        for method, base, tuned, _ in compared
    ]
    return judge(differences, metric=_spoken(measured), unit=measured.units.group)


def _spoken(measured: Measured) -> str:
    return measured.metrics[measured.headline[0]].spoken


def _cell(entry: Entry) -> str:
    found = entry.difference
    told = f"{entry.base:.1f} > {entry.tuned:.1f} {entry.spoken}: {found.value:+.1f}"
    if found.low is None or found.high is None:
        return told
    return f"{told} [{found.low:.1f}, {found.high:.1f}]"
