"""What a tuned model may have forgotten: other tasks, before and after, on the same questions.

    DIR/base/runs/<task>-...                  the untuned model, once for all runs
    DIR/runs/<run>/predictions-<task>.jsonl   a tuned one, in the directory of its run

The untuned model is also scored on the recipe's own task, for what was gained. The model reads as
much as it can on the other tasks, whatever `model.max_length` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from tunelab.data import load_choices
from tunelab.errors import RecipeError
from tunelab.evaluation.measure import task_name
from tunelab.models.loading import readable_length, reading_direction
from tunelab.recipe import AnyChoiceTask, Model, NoTuning, Recipe, Training, digest
from tunelab.records import Prediction
from tunelab.runs.choosing import Chooser
from tunelab.runs.progress import Display
from tunelab.tuning import TunedModel

BASE = "base"
"""The untuned models lie in DIR/base/runs/, apart from the runs that are compared."""


@dataclass(frozen=True, slots=True)
class Also:
    """What a model answers on another task."""

    predictions: list[Prediction]
    notes: tuple[str, ...]


def answer_also(
    task: AnyChoiceTask,
    tuned: TunedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    *,
    accelerator: Accelerator,
    display: Display,
) -> Also:
    """Answer the questions of a task that the model was not tuned for."""
    data = load_choices(task, training=False)
    chooser = Chooser(
        tuned,
        tokenizer,
        task,
        data.shots,
        max_length=readable_length(recipe.model),
        max_new_tokens=recipe.evaluation.max_new_tokens,
        accelerator=accelerator,
        display=display,
        share=recipe.training.share_prefix,
    )
    predictions = chooser.answer(data.test, task_name(task))
    return Also(predictions, tuple(chooser.notes))


def untuned(runs: Sequence[Recipe]) -> list[Recipe]:
    """The runs of the untuned models, each once: on their own task, and on all others."""
    found: dict[str, Recipe] = {}
    for run in runs:
        if not run.also_evaluate:
            continue
        plain = run.evaluation.model_copy(update={"ablations": (), "contamination": False})
        base = run.model_copy(
            update={
                "tuning": NoTuning(kind="none"),
                "training": Training(),
                "evaluation": plain,
                "search": None,
                "also_evaluate": (),
                "track": (),
                "seed": 0,
            }
        )
        whole = run.model.model_copy(update={"max_length": readable_length(run.model)})
        for each in (base, *(_on(task, whole) for task in run.also_evaluate)):
            found.setdefault(digest(each), each)
    return list(found.values())


def check_also(runs: Sequence[Recipe]) -> None:
    """Refuse further tasks that cannot be scored, before anything is started.

    Raises:
        RecipeError: a model is an encoder or behind an endpoint, or a task occurs twice.
        DataError: the questions of a task cannot be read.
    """
    for run in (run for run in runs if run.also_evaluate):
        names = [task_name(run.task), *map(task_name, run.also_evaluate)]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise RecipeError(
                f"also_evaluate and task name '{doubles[0]}' more than once.",
                hint="Name every task once; what the recipe is about is scored anyway.",
            )
        if run.model.endpoint is not None or reading_direction(run.model) == "both ways":
            raise RecipeError(
                "also_evaluate needs a decoder at hand, which weighs given answers; "
                f"'{run.model.path}' is none.",
                hint="Leave also_evaluate out, or choose a decoder (see `tunelab models`).",
            )
    for task in dict.fromkeys(task for run in runs for task in run.also_evaluate):
        load_choices(task, training=False)


def _on(task: AnyChoiceTask, model: Model) -> Recipe:
    return Recipe(task=task, model=model, tuning=NoTuning(kind="none"))
