"""A checkpoint or a finished run on a task that it need not have been tuned for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml
from accelerate import Accelerator

from tunelab.data import load_single
from tunelab.errors import UsageError, did_you_mean
from tunelab.evaluation.measure import measure, task_scores
from tunelab.models.loading import readable_length, reading_direction
from tunelab.recipe import FurtherTask, MixtureTask, Prompt, SquadTask, task_name, validate
from tunelab.records import Prediction, Score
from tunelab.runs.decoding import LOOKED_AT
from tunelab.runs.loaded import Loaded
from tunelab.runs.progress import Display
from tunelab.runs.responders import responder_of
from tunelab.runs.source import Source, find_source, load_source

NAMES = ("pubmedqa", "mmlu", "arc", "hellaswag", "truthfulqa", "chat", "text-qa", "text")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a model scores on a task."""

    model: str
    task: str
    """Its name in scores.json."""
    predictions: list[Prediction]
    scores: dict[str, Score]
    headline: tuple[str, ...]
    shown: tuple[str, ...]
    """The metrics of tables; `scores` has more."""
    seconds: float
    """Of weighing alone: the model was loaded before."""
    notes: tuple[str, ...]


def read_task(name: str, settings: Sequence[str], data: Sequence[str]) -> FurtherTask:
    """A task as the command line names it.

    Args:
        name: such as mmlu, or arc_easy.
        settings: `key=value` of the task's settings.
        data: what `test` is; nothing leaves the hub's.

    Raises:
        UsageError: there is no such task, or a setting cannot be read.
        RecipeError: a setting does not exist or does not fit.
    """
    kind, _, part = name.partition("_")
    if kind not in NAMES:
        raise UsageError(
            f"There is no task '{name}' to evaluate on.", hint=did_you_mean(name, NAMES)
        )
    raw: dict[str, object] = {"kind": kind}
    if part:
        raw["part"] = part
    if data:
        raw["test"] = list(data)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"'{setting}' is no setting.", hint="Write key=value, as shots=0.")
        try:
            raw[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(
                f"The value of '{setting}' is no valid YAML: {error}.",
                hint="A list has both its brackets, as subjects=[anatomy, astronomy].",
            ) from error
    task = validate({"task": raw}, source=f"--task {name}").task
    assert not isinstance(task, SquadTask | MixtureTask)
    return task


def evaluate_on(model: str, task: FurtherTask, *, max_length: int | None, quiet: bool) -> Evaluated:
    """Score a model on a task.

    Args:
        model: a run directory, or what `model.path` of a recipe may be.
        task: what is asked; nothing is trained.
        max_length: tokens that are read at most; without it, as many as the model can.
        quiet: no progress display.

    Raises:
        UsageError: the model is an encoder, or the run is not finished.
        DataError, ModelError: the data or the checkpoint cannot be read.
    """
    source = find_source(model)
    if reading_direction(source.recipe.model) == "both ways":
        raise UsageError(
            f"'{model}' is an encoder: it gives no likelihood to answers.",
            hint="Choose a decoder (see `tunelab models`).",
        )
    data = load_single(task, training=False)
    family = load_source(_plain(source))
    loaded = Loaded(
        family.tuned,
        family.tokenizer,
        source.recipe.evaluation,
        max_length=max_length or readable_length(source.recipe.model),
        accelerator=Accelerator(),
        display=Display(task_name(task), quiet=quiet),
    )
    responder = responder_of(task, data, loaded)
    loaded.prove_sharing(responder.learn(data.test[:LOOKED_AT]).encoded)
    began = time.perf_counter()
    predictions = responder.answer(data.test, "test")
    seconds = time.perf_counter() - began
    measured = measure(task, predictions)
    return Evaluated(
        model=model,
        task=measured.task,
        predictions=predictions,
        scores=task_scores(task, predictions)[measured.task],
        headline=measured.headline,
        shown=tuple(measured.metrics),
        seconds=seconds,
        notes=(*data.notes, *loaded.notes),
    )


def _plain(source: Source) -> Source:
    """Without a prompt of its own, which the task has; unless the model's weights hang on it."""
    recipe = source.recipe
    if recipe.prompt.reasoning_tokens or recipe.model.quantize.startswith("gptq"):
        return source
    return replace(source, recipe=source.recipe.model_copy(update={"prompt": Prompt()}))
