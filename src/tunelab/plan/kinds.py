"""The kinds of tasks whose runs can be planned."""

from __future__ import annotations

from tunelab.errors import RecipeError
from tunelab.recipe import (
    AnyChoiceTask,
    ArcTask,
    HellaswagTask,
    MmluTask,
    PubmedqaTask,
    SquadTask,
    Task,
    TruthfulqaTask,
)

_PLANNED = SquadTask | PubmedqaTask | MmluTask | ArcTask | HellaswagTask | TruthfulqaTask


def plannable(task: Task) -> SquadTask | AnyChoiceTask:
    """The task, if its runs can be planned.

    Raises:
        RecipeError: they cannot.
    """
    if not isinstance(task, _PLANNED):
        raise RecipeError(
            f"Runs with task.kind={task.kind} cannot be planned yet.",
            hint="Planned are squad, pubmedqa, mmlu, arc, hellaswag and truthfulqa.",
        )
    return task
