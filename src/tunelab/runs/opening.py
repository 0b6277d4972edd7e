"""What a run of any task but SQuAD needs: its data, and a model that learns and answers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from tunelab.data import TaskData, load_mixture, load_single
from tunelab.models.loading import reading_direction
from tunelab.recipe import FurtherTask, MixtureTask, PubmedqaTask, Recipe
from tunelab.runs.classifying import ClassFamily
from tunelab.runs.examples import uses_training_part
from tunelab.runs.family import Tasked
from tunelab.runs.loaded import Loaded
from tunelab.runs.mixing import MixtureResponder
from tunelab.runs.progress import Display
from tunelab.runs.responders import responder_of
from tunelab.runs.tasked import Responder, TaskFamily


@dataclass(frozen=True, slots=True)
class Opened:
    """The data of a task, and how its model is loaded. Both are about the same kind of examples."""

    data: TaskData[Any]
    examples: int
    """That an epoch trains on, before any is left out as too long."""
    load: Callable[[int, Accelerator], Tasked[Any]]
    """Loads the model and makes it ready to be tuned in so many steps."""

    def family(
        self, steps: int, accelerator: Accelerator, *, home: torch.device | None = None
    ) -> Tasked[Any]:
        """The model, put where it belongs: on the accelerator's device, if not elsewhere."""
        family = self.load(steps, accelerator)
        family.tuned.model.to(home or accelerator.device)
        return family


def open_task(recipe: Recipe, task: FurtherTask | MixtureTask, *, display: Display) -> Opened:
    """Read the data of a run's task.

    Raises:
        DataError, RecipeError: the data of the task cannot be read.
    """
    training = uses_training_part(recipe)
    if isinstance(task, MixtureTask):
        mixture = load_mixture(task, training=training)
        count = task.examples or len(mixture.data.train)
        return Opened(
            mixture.data,
            count if mixture.data.train else 0,
            _loader(
                recipe, lambda loaded: MixtureResponder(task, mixture, recipe, loaded), display
            ),
        )
    data = load_single(task, training=training)
    if isinstance(task, PubmedqaTask) and reading_direction(recipe.model) == "both ways":
        return Opened(
            data,
            len(data.train),
            lambda steps, accelerator: ClassFamily(
                recipe, total_steps=steps, accelerator=accelerator, display=display
            ),
        )
    return Opened(
        data,
        len(data.train),
        _loader(recipe, lambda loaded: responder_of(task, data, loaded), display),
    )


def _loader(
    recipe: Recipe, responder: Callable[[Loaded], Responder[Any]], display: Display
) -> Callable[[int, Accelerator], Tasked[Any]]:
    def load(steps: int, accelerator: Accelerator) -> Tasked[Any]:
        return TaskFamily(
            recipe, responder, total_steps=steps, accelerator=accelerator, display=display
        )

    return load
