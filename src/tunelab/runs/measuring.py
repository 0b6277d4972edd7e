"""`tunelab plan --measure`: a short run here, whose figures replace those that were only predicted.

The short run is a run: in a process of its own, from loading to its scores, on the questions of a
few steps (those with the longest texts among them) and a few test questions. Its peak of memory is
that of the whole run, but for what `plan` says the two differ in; its seconds a token and seconds a
question are those of the whole run, and what it takes once is taken once.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from tunelab.data import TaskData, load_squad
from tunelab.models.loading import reading_direction
from tunelab.plan.drawn import chosen_steps
from tunelab.recipe import Recipe, SquadTask, with_settings
from tunelab.records import Forecast, RunDirectory, Step
from tunelab.runs.process import Workers
from tunelab.runs.sharing import NOTHING_SHARED, Shared

_STEPS = 2
"""Besides those with the longest texts."""
_QUESTIONS = 16
"""That are answered."""


def measured(recipe: Recipe, forecast: Forecast) -> Forecast:
    """The forecast with measured figures; with a note instead where the short run failed.

    Args:
        recipe: resolved.
        forecast: of the whole run.
    """
    if recipe.evaluation.quantize:
        note = "not measured: it scores what another run trained"
        return forecast.model_copy(update={"notes": (*forecast.notes, note)})
    with tempfile.TemporaryDirectory(prefix="tunelab-measure-") as folder:
        directory = RunDirectory(Path(folder) / "run")
        short, shared, questions = _shortened(recipe)
        manifest = Workers().run(short, "measured", directory, quiet=True, shared=shared)
        cost = manifest.cost
        if manifest.status != "ok" or cost is None or cost.peak_memory_bytes is None:
            note = f"not measured: the short run ended as {manifest.status}: {manifest.message}"
            fits = forecast.fits and manifest.status != "out_of_memory"
            return forecast.model_copy(update={"fits": fits, "notes": (*forecast.notes, note)})
        steps = directory.read_steps()
    training = training_seconds(steps, cost.seconds_training, forecast.read_tokens)
    a_question = cost.seconds_evaluation / max(1, questions)
    answering = a_question * forecast.questions
    ratio = training / forecast.seconds_training if forecast.seconds_training else 1.0
    peak = cost.peak_memory_bytes
    hours = (training + answering) / 3600
    before = (forecast.seconds_training + forecast.seconds_evaluation) / 3600
    return forecast.model_copy(
        update={
            "peak_memory_bytes": peak,
            "fits": peak <= forecast.available_bytes,
            "seconds_training": training,
            "seconds_evaluation": answering,
            "seconds_search": forecast.seconds_search * ratio,
            "price": forecast.price * hours / before if forecast.price and before else None,
            "measured": True,
            "notes": (
                *(note for note in forecast.notes if not note.startswith("time: ")),
                f"measured: {len(steps)} steps and {questions} answers, here and now",
            ),
        }
    )


def training_seconds(steps: Sequence[Step], taken: float, read_tokens: int) -> float:
    """Of a whole run: so much a token, and once what the short run took besides.

    The first step fetches memory and starts threads, so it does not tell what a token takes.
    """
    if not steps:
        return 0.0
    a_token = statistics.median(step.seconds / step.tokens for step in steps[1:] or steps)
    once = max(0.0, taken - a_token * sum(step.tokens for step in steps))
    return once + a_token * read_tokens


def _shortened(recipe: Recipe) -> tuple[Recipe, Shared, int]:
    """A recipe of a few steps, the data it reads, and how many questions it answers."""
    size = recipe.training.batch_size
    limits: dict[str, object] = {
        "task.train_limit": _STEPS * size,
        "task.test_limit": _QUESTIONS,
        "training.epochs": 1,
        "also_evaluate": [],
        "evaluation.ablations": [],
        "evaluation.split": "test",
    }
    if not isinstance(recipe.task, SquadTask):
        return with_settings(recipe, limits), NOTHING_SHARED, _QUESTIONS
    data = load_squad(recipe.task)
    decodes = reading_direction(recipe.model) == "left to right"
    share = decodes and recipe.training.share_prefix
    together = recipe.training.together or ("all" if share else 1)
    chosen = chosen_steps(recipe, together, data.train, _STEPS)
    few = TaskData(
        train=list(chain.from_iterable(chosen)),
        validation=[],
        test=data.test[:_QUESTIONS],
        notes=data.notes,
    )
    limits["evaluation.no_answer_threshold"] = "decoded"
    return with_settings(recipe, limits), Shared(few, NOTHING_SHARED.tokens), len(few.test)
