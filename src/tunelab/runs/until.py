"""A study that stops itself: seeds are added until every verdict is clear, or the time is spent.

A round gives one more seed to every method of which some pair is not separable yet, and then looks
at the results. What a look counted stands in looks.json, so that an interrupted study goes on with
the same looks and a report judges by them. Looking several times is paid for by alpha spending:
see `tunelab.statistics.looks`.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tunelab.errors import RecordError, UsageError
from tunelab.recipe import Recipe
from tunelab.records import Manifest, RunDirectory
from tunelab.records.looks import Look, Looks, read_looks, write_looks
from tunelab.report.comparing import primary_verdicts
from tunelab.report.figures import duration
from tunelab.report.study import Method, Study, asked_for, read_study
from tunelab.statistics import ALPHA
from tunelab.statistics.looks import one_more_seed

FEWEST = 3
"""Seeds of every method at the first look: with fewer, an interval says next to nothing."""

_BUDGET = re.compile(r"(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?")


def read_budget(until_separable: bool, budget: str | None) -> float | None:
    """Seconds of a time such as 2h, 90m, 1h30m or 45s; None for a study that adds no seeds.

    Raises:
        UsageError: it is no such time, or one of both options is there without the other.
    """
    if until_separable != (budget is not None):
        raise UsageError(
            "--until-separable and --budget belong together.",
            hint="tunelab run RECIPE.yaml --out DIR --until-separable --budget 2h",
        )
    if budget is None:
        return None
    found = _BUDGET.fullmatch(budget.strip())
    hours, minutes, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    seconds = 3600 * hours + 60 * minutes + rest
    if seconds == 0:
        raise UsageError(
            f"'{budget}' is no budget of time.",
            hint="Write hours, minutes or seconds: 2h, 1h30m, 45s.",
        )
    return float(seconds)


class UntilSeparable:
    """Says after every round what is done next; what it must remember lies in the directory."""

    def __init__(self, recipe: Recipe, out: Path, *, budget: float) -> None:
        """Of a study of two methods or more, with its budget in seconds.

        Raises:
            UsageError: there is nothing to tell apart.
        """
        self._recipe = recipe
        self._out = out
        self._budget = budget
        self._before = _seconds_on_disk(out)
        self._began = time.monotonic()
        self._tried: set[tuple[str, int]] = set()
        if len({label for label, _ in asked_for(recipe, None)}) < 2:
            raise UsageError(
                f"'{recipe.name}' has one method only; --until-separable tells methods apart.",
                hint="List two or more in the recipe's grid.",
            )

    @property
    def has_time(self) -> bool:
        """Whether some of the budget is left."""
        return self._spent < self._budget

    def more(self) -> list[tuple[str, Recipe]]:
        """Labels and runs to do when all others are done; none: the study is over."""
        looks = read_looks(self._out) or _planned(self._recipe)
        study = read_study(self._out)
        left = self._left(study, looks)
        if not left:
            looks = self._next(study, looks)
            left = self._left(study, looks)
        elif self.has_time:
            looks = _stopped(looks, "")
        else:
            looks, left = _stopped(looks, self._used_up()), []
        write_looks(self._out, looks)
        self._tried |= set(left)
        wanted = asked_for(self._recipe, looks)
        return [(label, wanted[label, seed]) for label, seed in left]

    @property
    def _spent(self) -> float:
        return self._before + time.monotonic() - self._began

    def _left(self, study: Study, looks: Looks) -> list[tuple[str, int]]:
        """The added seeds that are not done, and were not tried in vain just now."""
        finished = _finished(study)
        return [
            (label, seed)
            for label, seeds in looks.added.items()
            for seed in seeds
            if seed not in finished.get(label, ()) and (label, seed) not in self._tried
        ]

    def _next(self, study: Study, looks: Looks) -> Looks:
        """Take a look if there is something new, and add seeds or stop."""
        if any(method.missing_seeds for method in study.methods) and not self.has_time:
            return _stopped(looks, self._used_up())
        few = [m for m in study.methods if len(_seeds(m)) < FEWEST]
        if few:
            return self._add(few, looks)
        looks = _look(study, looks)
        verdicts = primary_verdicts(study.methods, looks)
        pairs = [verdict.pair for verdict in verdicts if verdict.outcome == "not separable"]
        if not pairs:
            return _stopped(looks, "no pair is open any more")
        if len(looks.looks) == len(looks.times):
            return _stopped(looks, "all looks that were planned are taken")
        whole = {m.label: m for m in study.methods if len(m.finished) == len(_seeds(m))}
        wanting = {label for pair in pairs if all(name in whole for name in pair) for label in pair}
        if not wanting:
            return _stopped(looks, "every open pair has a run that did not finish")
        return self._add([m for m in study.methods if m.label in wanting], looks)

    def _add(self, methods: Sequence[Method], looks: Looks) -> Looks:
        """One more seed for each of these methods, if there is time."""
        expected = sum(_seconds_of_a_run(method) for method in methods)
        if self._spent + expected > self._budget:
            return _stopped(looks, f"{self._used_up()}; a round takes {duration(expected)}")
        added = dict(looks.added)
        for method in methods:
            used = _seeds(method)
            unused = next(seed for seed in count() if seed not in used)
            added[method.label] = (*added.get(method.label, ()), unused)
        return looks.model_copy(update={"added": added, "stopped": ""})

    def _used_up(self) -> str:
        return f"{duration(self._spent)} of {duration(self._budget)} are spent"


def _planned(recipe: Recipe) -> Looks:
    """The looks of a study before its first run."""
    seeds = Counter(label for label, _ in asked_for(recipe, None))
    return Looks(alpha=ALPHA, times=one_more_seed(max(FEWEST, min(seeds.values()))).times)


def _stopped(looks: Looks, why: str) -> Looks:
    return looks.model_copy(update={"stopped": why})


def _look(study: Study, looks: Looks) -> Looks:
    """With one more look at what is finished, if it is not what the last one saw."""
    seeds = _finished(study)
    seen = looks.looks[-1].seeds if looks.looks else None
    if seeds == seen or len(looks.looks) == len(looks.times):
        return looks
    return looks.model_copy(update={"looks": (*looks.looks, Look(seeds=seeds))})


def _finished(study: Study) -> dict[str, tuple[int, ...]]:
    """Label -> the seeds of its finished runs."""
    return {
        method.label: tuple(run.recipe.seed for run in method.finished)
        for method in study.methods
        if method.finished
    }


def _seeds(method: Method) -> set[int]:
    """All that were asked for, whatever became of them."""
    return {run.recipe.seed for run in method.runs} | set(method.missing_seeds)


def _seconds_of_a_run(method: Method) -> float:
    """The median of those finished; 0 where none is."""
    known = [_seconds(run.manifest) for run in method.finished]
    return statistics.median(known) if known else 0.0


def _seconds_on_disk(out: Path) -> float:
    """Training and evaluation of all runs of a directory, trials of a search and torn ones too."""
    return sum(_seconds_of(RunDirectory(path.parent)) for path in out.glob("**/runs/*/recipe.yaml"))


def _seconds_of(place: RunDirectory) -> float:
    try:
        return _seconds(place.read_manifest()) or sum(step.seconds for step in place.read_steps())
    except RecordError:
        return 0.0  # damaged: what it took is not known


def _seconds(manifest: Manifest) -> float:
    cost = manifest.cost
    return cost.seconds_training + cost.seconds_evaluation if cost else 0.0
