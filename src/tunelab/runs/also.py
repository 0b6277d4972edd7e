"""What a tuned model may have forgotten: other tasks, before and after, on the same questions.

    DIR/base/runs/<task>-...                  the untuned model, once for all runs
    DIR/runs/<run>/predictions-<task>.jsonl   a tuned one, in the directory of its run

The untuned model is also scored on the recipe's own task, for what was gained. The model reads as
much as it can on the other tasks, whatever `model.max_length` says; of general text, a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from tunelab.data import load_single
from tunelab.errors import RecipeError
from tunelab.models.loading import readable_length, reading_direction
from tunelab.recipe import (
    FurtherTask,
    MixtureTask,
    Recipe,
    digest,
    part_names,
    task_name,
    untuned_on,
    untuned_on_own,
)
from tunelab.records import Prediction
from tunelab.runs.loaded import Loaded
from tunelab.runs.progress import Display
from tunelab.runs.responders import responder_of
from tunelab.tuning import TunedModel

BASE = "base"
"""The untuned models lie in DIR/base/runs/, apart from the runs that are compared."""


@dataclass(frozen=True, slots=True)
class Also:
    """What a model answers on another task."""

    predictions: list[Prediction]
    notes: tuple[str, ...]


def answer_also(
    task: FurtherTask,
    tuned: TunedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    *,
    share: bool,
    accelerator: Accelerator,
    display: Display,
) -> Also:
    """Answer the questions of a task that the model was not tuned for.

    Args:
        share: read once what sequences have in common, as the run found that it may.
    """
    data = load_single(task, training=False)
    loaded = Loaded(
        tuned,
        tokenizer,
        recipe.evaluation,
        max_length=readable_length(recipe.model),
        accelerator=accelerator,
        display=display,
        seed=recipe.seed,
        share=share,
    )
    predictions = responder_of(task, data, loaded).answer(data.test, task_name(task))
    return Also(predictions, tuple(loaded.notes))


def untuned(runs: Sequence[Recipe]) -> list[Recipe]:
    """The runs of the untuned models, each once: on their own task, and on all others."""
    found: dict[str, Recipe] = {}
    for run in runs:
        if not run.also_evaluate:
            continue
        reads = readable_length(run.model)
        others = [untuned_on(task, run, max_length=reads) for task in run.also_evaluate]
        for each in (untuned_on_own(run), *others):
            found.setdefault(digest(each), each)
    return list(found.values())


def check_also(runs: Sequence[Recipe]) -> None:
    """Refuse further tasks that cannot be scored, before anything is started.

    Raises:
        RecipeError: a model is an encoder or behind an endpoint, or a task occurs twice.
        DataError: the questions of a task cannot be read.
    """
    for run in (run for run in runs if run.also_evaluate):
        own = part_names(run.task) if isinstance(run.task, MixtureTask) else [task_name(run.task)]
        names = [*own, *map(task_name, run.also_evaluate)]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise RecipeError(
                f"also_evaluate and task name '{doubles[0]}' more than once.",
                hint="Name every task once; what the recipe is about is scored anyway.",
            )
        if run.model.endpoint is not None or reading_direction(run.model) == "both ways":
            raise RecipeError(
                "also_evaluate needs a decoder at hand, which weighs texts; "
                f"'{run.model.path}' is none.",
                hint="Leave also_evaluate out, or choose a decoder (see `tunelab models`).",
            )
    for task in dict.fromkeys(task for run in runs for task in run.also_evaluate):
        load_single(task, training=False)
