"""What a run's model is asked when it is trained: the test set, and what it must not forget."""

from __future__ import annotations

from typing import assert_never

from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from tunelab.data import Example, TaskData
from tunelab.evaluation.ablations import ablated_scores
from tunelab.evaluation.measure import task_scores
from tunelab.evaluation.spans import apply_threshold
from tunelab.recipe import Recipe, task_name
from tunelab.records import RunDirectory
from tunelab.runs.also import answer_also
from tunelab.runs.answering import Answering
from tunelab.runs.progress import Display
from tunelab.runs.trained import Trained
from tunelab.tuning import TunedModel


def score(
    recipe: Recipe,
    data: TaskData[Example],
    answering: Answering,
    *,
    scored: Trained | None,
    directory: RunDirectory,
) -> float | None:
    """Predict and score what the recipe asks for, with a threshold from validation, or with the
    one of the run whose weights are scored.

    Returns:
        The threshold.
    """
    held_out = (
        answering.answer(data.validation, "validation")
        if recipe.evaluation.split == "validation"
        or (answering.chooses_threshold and scored is None)
        else []
    )
    threshold = scored.threshold if scored else answering.threshold(held_out)
    match recipe.evaluation.split:
        case "test":
            asked, predictions = data.test, answering.answer(data.test, "test")
        case "validation":
            asked, predictions = data.validation, held_out
        case _:
            assert_never(recipe.evaluation.split)
    predictions = apply_threshold(predictions, threshold)
    directory.write_predictions(predictions)
    scores = task_scores(recipe.task, predictions)
    for ablation in recipe.evaluation.ablations if scored is None else ():
        ablated = apply_threshold(answering.answer_ablated(asked, ablation), threshold)
        directory.write_predictions(ablated, ablation=ablation)
        scores |= ablated_scores(recipe.task, ablation, ablated)
    directory.write_scores(scores)
    return threshold


def score_also(
    recipe: Recipe,
    tuned: TunedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    share: bool,
    accelerator: Accelerator,
    directory: RunDirectory,
    display: Display,
) -> list[str]:
    """What else the tuned model is scored on, to see what it forgot.

    Args:
        share: read once what sequences have in common, as the run found that it may.

    Returns:
        What a reader of the table must know.
    """
    scores = directory.read_scores()
    notes: list[str] = []
    for task in recipe.also_evaluate:
        found = answer_also(
            task,
            tuned,
            tokenizer,
            recipe,
            share=share,
            accelerator=accelerator,
            display=display,
        )
        directory.write_predictions(found.predictions, ablation=task_name(task))
        scores |= task_scores(task, found.predictions)
        notes += found.notes
    directory.write_scores(scores)
    return notes
