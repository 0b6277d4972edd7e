"""A mixture of tasks: the examples of its parts, each behind the name of its part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from tunelab.data.choices import load_choices
from tunelab.data.example import Mixed, Single
from tunelab.data.sources import TaskData, load_squad
from tunelab.data.text import load_text
from tunelab.data.written import load_written
from tunelab.recipe import (
    ArcTask,
    ChatTask,
    HellaswagTask,
    MixtureTask,
    MmluTask,
    PubmedqaTask,
    SingleTask,
    SquadTask,
    TextQaTask,
    TextTask,
    TruthfulqaTask,
    part_names,
)


@dataclass(frozen=True, slots=True)
class MixtureData:
    """The examples of a mixture."""

    data: TaskData[Mixed]
    parts: dict[str, TaskData[Any]]
    """Name -> the examples of a part."""


def part_shares(task: MixtureTask) -> dict[str, float]:
    """Name of a part -> its share of an epoch's examples; they add up to 1."""
    weights = task.weights or (1.0,) * len(task.parts)
    names = part_names(task)
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


def load_mixture(task: MixtureTask, *, training: bool = True) -> MixtureData:
    """Load, check, split and limit the data of all parts.

    A part of weight 0 is not trained on: its training data need not be there.

    Raises:
        DataError, RecipeError: as for the task that is concerned.
    """
    trained = {name: training and share > 0 for name, share in part_shares(task).items()}
    parts = {
        name: load_single(part, training=trained[name])
        for name, part in zip(trained, task.parts, strict=True)
    }
    mixed = TaskData(
        train=_mixed({name: data.train if trained[name] else [] for name, data in parts.items()}),
        validation=_mixed(
            {name: data.validation if trained[name] else [] for name, data in parts.items()}
        ),
        test=_mixed({name: data.test for name, data in parts.items()}),
        notes=tuple(f"{name}: {note}" for name, data in parts.items() for note in data.notes),
    )
    return MixtureData(mixed, parts)


def load_single(task: SingleTask, *, training: bool) -> TaskData[Any]:
    """The data of any task that is no mixture; what it holds follows from the task.

    Raises:
        DataError, RecipeError: as for the task that is concerned.
    """
    match task:
        case SquadTask():
            return load_squad(task)
        case PubmedqaTask() | MmluTask() | ArcTask() | HellaswagTask() | TruthfulqaTask():
            return load_choices(task, training=training)
        case ChatTask() | TextQaTask():
            return load_written(task, training=training)
        case TextTask():
            return load_text(task, training=training)
        case _:
            assert_never(task)


def _mixed(parts: dict[str, Iterable[Single]]) -> list[Mixed]:
    return [Mixed(name, example) for name, examples in parts.items() for example in examples]
