"""The runs of a model before it is tuned: what the forgetting ledger compares a tuned one with.

Whoever makes such a run and whoever looks for it ask here, so that both speak of the same one. All
of it is a function of values.
"""

from __future__ import annotations

from tunelab.recipe.schema import Evaluation, NoTuning, Recipe, Training
from tunelab.recipe.tasks import ChatTask, FurtherTask, TextQaTask, untrained


def untuned_on_own(run: Recipe) -> Recipe:
    """The untuned model on the task of a run, asked and read off as the tuned one is."""
    tested = run.evaluation.split == "test"
    return run.model_copy(
        update={
            "task": untrained(run.task) if tested else run.task,
            "tuning": NoTuning(kind="none"),
            "training": Training(),
            "evaluation": _plain(run),
            "search": None,
            "also_evaluate": (),
            "track": (),
            "seed": 0,
        }
    )


def untuned_on(task: FurtherTask, run: Recipe, *, max_length: int) -> Recipe:
    """The untuned model on one of `also_evaluate`; how it writes counts where it writes.

    Args:
        task: that it is asked.
        run: whose model it is.
        max_length: how much the model reads there, whatever the run's setting says.
    """
    return Recipe(
        task=untrained(task),
        model=run.model.model_copy(update={"max_length": max_length}),
        tuning=NoTuning(kind="none"),
        evaluation=_plain(run) if isinstance(task, ChatTask | TextQaTask) else Evaluation(),
    )


def _plain(run: Recipe) -> Evaluation:
    return run.evaluation.model_copy(update={"ablations": (), "contamination": False})
