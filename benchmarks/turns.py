"""How a side trains only while it is its turn: tunelab's loop, and transformers' Trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from transformers.trainer_callback import TrainerCallback

from benchmarks.alternation import Baton
from tunelab.recipe import Training
from tunelab.records import RunDirectory, Step
from tunelab.training.devices import Devices
from tunelab.training.loop import Hooks, train
from tunelab.training.meters import MemoryMeter
from tunelab.training.objective import Objective
from tunelab.tuning import TrainingWatch, TunedModel


class Turns(TrainerCallback):
    """Makes a Trainer wait for its turns, and tells the loss of each of its steps."""

    def __init__(self, baton: Baton, step_loss: Callable[[], float]) -> None:
        self._baton = baton
        self._step_loss = step_loss

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Before the first step."""
        self._baton.wait()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """After each."""
        self._baton.step(self._step_loss())


def train_in_turns(
    tuned: TunedModel,
    objective: Objective,
    settings: Training,
    *,
    accelerator: Accelerator,
    seed: int,
    baton: Baton,
) -> None:
    """The training of `tunelab run`, checkpoints and proofs included."""

    def advance(step: Step) -> None:
        baton.step(step.loss)

    with tempfile.TemporaryDirectory() as folder:
        baton.wait()
        train(
            tuned,
            objective,
            settings,
            devices=Devices(accelerator),
            seed=seed,
            directory=RunDirectory(Path(folder)),
            watch=TrainingWatch(tuned),
            memory=MemoryMeter(),
            origin="benchmark",
            hooks=Hooks(validate=None, advance=advance, stop=lambda: False),
        )
