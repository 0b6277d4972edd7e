"""What the runs of a grid read of their tasks: each once, and whether it is what it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tunelab.data import ItemT, TaskData, examples_digest, load_mixture, load_single
from tunelab.errors import DataError, RecipeError, RecordError
from tunelab.recipe import MixtureTask, NoTuning, Recipe, SquadTask, Task, is_searched
from tunelab.records import Status
from tunelab.runs.planned import Planned

_TASKS_HELD = 4
"""A grid may ask for more, such as limits of the training questions; they take memory."""
FINISHED: tuple[Status, ...] = ("ok", "diverged")
"""How a run ended that is kept: tried again, one that diverged would again."""
_Read = tuple[Task, bool]
"""A task, and whether its training part is read."""


class Examples:
    """The examples of a grid: those of each task are read and checked once."""

    def __init__(self) -> None:
        self._load = lru_cache(maxsize=_TASKS_HELD)(_load)
        self._described = lru_cache(maxsize=None)(lambda read: describe(self._load(read)))

    def of(self, run: Recipe) -> TaskData[Any]:
        """What a run reads.

        Raises:
            DataError, RecipeError: as for its task.
        """
        return self._load(_read(run))

    def check(self, runs: Sequence[Recipe]) -> None:
        """Read what the runs need.

        Raises:
            DataError, RecipeError: it cannot be read, or is too little to hold some of it out.
        """
        chosen_on = {_read(run) for run in runs if _needs_validation(run)}
        for read in dict.fromkeys(map(_read, runs)):
            data = self._load(read)
            if read in chosen_on and not data.validation:
                raise RecipeError(
                    f"Scores on validation are asked for, but of the {len(data.train):,} training "
                    "examples none are held out.",
                    hint="Name more with task.train, hold out more with task.validation, or "
                    "evaluate on the test split.",
                )

    def refuse_others(self, items: Sequence[Planned]) -> None:
        """Refuse to keep a run as done whose data have changed since: it would be another run.

        Raises:
            DataError: with the first one.
        """
        changed = [(item.directory.path, told) for item in items if (told := self._change(item))]
        if changed:
            path, told = changed[0]
            others = f" {len(changed) - 1} more runs likewise." if changed[1:] else ""
            raise DataError(
                f"{path.name} was done with other data than the recipe names now: {told}.{others}",
                hint="Give another --out, which keeps these results, or delete what is to be done "
                f"again: rm -r {path}",
            )

    def _change(self, item: Planned) -> str:
        """What is not what it was; empty where all is, or nothing is done or known."""
        try:
            manifest = item.directory.read_manifest()
        except RecordError:
            return ""  # it is not kept, or not here that it is refused
        if manifest.status not in FINISHED or not manifest.data:
            return ""
        now = self._described(_read(item.recipe))
        return "; ".join(
            f"{part} {_told(then, now[part])}"
            for part, then in manifest.data.items()
            if part in now and now[part] != then
        )


def uses_training_part(run: Recipe) -> bool:
    """Whether a run trains, or is scored on what is held out of the training examples."""
    return not isinstance(run.tuning, NoTuning) or run.evaluation.split == "validation"


def describe(data: TaskData[ItemT]) -> dict[str, str]:
    """Part -> how many examples it has, and their digest: as a manifest tells it."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        name: f"{len(examples)} questions, sha256 {examples_digest(examples)}"
        for name, examples in parts.items()
    }


def _needs_validation(run: Recipe) -> bool:
    asked = run.evaluation.split == "validation" or (is_searched(run) and uses_training_part(run))
    return asked and run.task.validation > 0  # without a share it is told otherwise


def _told(then: str, now: str) -> str:
    before, after = then.partition(",")[0], now.partition(",")[0]
    return f"had {before}, and has {after}" if before != after else f"has {after}, not the same"


def _read(run: Recipe) -> _Read:
    return run.task, isinstance(run.task, SquadTask) or uses_training_part(run)


def _load(read: _Read) -> TaskData[Any]:
    task, training = read
    if isinstance(task, MixtureTask):
        return load_mixture(task, training=training).data
    return load_single(task, training=training)
