"""The training loop on a small encoder and twelve made-up rows, and ways to break it off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tests.tuning.small import encoder, tuning
from torch import Tensor

from tunelab.recipe import Training
from tunelab.records import Proof, RunDirectory, Step
from tunelab.training.devices import Devices
from tunelab.training.loop import Hooks, train
from tunelab.training.meters import MemoryMeter
from tunelab.training.objective import LossSum, Mix, Together
from tunelab.tuning import TrainingWatch, TunedModel, apply_tuning

SETTINGS = Training(epochs=3, batch_size=4, learning_rate=1e-2, checkpoint_steps=2)
STEPS = 9
ROWS = torch.randint(5, 120, (12, 10), generator=torch.Generator().manual_seed(1))
TARGETS = torch.randint(0, 10, (12, 2), generator=torch.Generator().manual_seed(2))


class Killed(BaseException):
    """The process is gone: nothing that runs from here on counts."""


@dataclass(frozen=True)
class ToyObjective:
    """Twelve examples, one row each."""

    tuned: TunedModel
    groups: Sequence[str] = tuple(map(str, range(12)))
    together: Together = 1
    mix: Mix | None = None

    def batch(self, chosen: Sequence[int]) -> ToyBatch:
        return ToyBatch(self.tuned, list(chosen))


@dataclass(frozen=True)
class ToyBatch:
    tuned: TunedModel
    rows: list[int]

    @property
    def tokens(self) -> int:
        return 10 * len(self.rows)

    @property
    def targets(self) -> int:
        return 2 * len(self.rows)

    def passes(self, processes: int) -> list[list[LossSum]]:
        parts = [self.rows[rank::processes] for rank in range(processes)]
        return [[partial(self.loss_sum, part)] if part else [] for part in parts]

    def loss_sum(self, rows: list[int]) -> Tensor:
        logits = self.tuned.span_logits(ROWS[rows], None, None)
        return torch.nn.functional.cross_entropy(logits, TARGETS[rows], reduction="sum")


@dataclass
class Session:
    """One process's part of a training, from a fresh model on."""

    folder: Path
    fields: dict[str, Any]
    origin: str = "toy"
    said: list[str] = field(default_factory=list)
    validated: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(7)
        self.tuned = apply_tuning(encoder(), tuning(**self.fields), total_steps=STEPS, seed=0)
        self.watch = TrainingWatch(self.tuned)

    def train(
        self,
        *,
        advance: Callable[[Step], None] = lambda _step: None,
        validating: Callable[[int], None] = lambda _number: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[Step]:
        """Train to the end, or to where a hook breaks it off; returns the steps."""

        def validate() -> float:
            validating(len(self.validated) + 1)
            self.validated.append(self.score())
            return self.validated[-1]

        return train(
            self.tuned,
            ToyObjective(self.tuned),
            SETTINGS,
            devices=Devices(Accelerator()),
            seed=0,
            directory=RunDirectory(self.folder),
            origin=self.origin,
            watch=self.watch,
            memory=MemoryMeter(),
            hooks=Hooks(
                validate=validate,
                advance=advance,
                stop=stop,
                say=self.said.append,
            ),
        ).steps

    @torch.no_grad()
    def score(self) -> float:
        self.tuned.model.eval()
        rows = list(range(12))
        return -float(ToyBatch(self.tuned, rows).loss_sum(rows))

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.tuned.model.named_parameters()}

    def proofs(self) -> list[Proof]:
        return self.watch.proofs()
