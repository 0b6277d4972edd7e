"""The objective of extractive encoders: where the answer starts and where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby

import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from tunelab.data import Example
from tunelab.evaluation.predict import span_logits
from tunelab.prompts.passes import cut_passes, pad_pass
from tunelab.prompts.windows import Window
from tunelab.recipe import Training
from tunelab.training.cpu_kernels import cpu_kernels
from tunelab.training.dealing import deal
from tunelab.training.objective import LossSum, Mix, Together
from tunelab.tuning import TunedModel


class SpanObjective:
    """The mean over windows of the mean of the cross-entropies of their start and their end."""

    def __init__(
        self,
        tuned: TunedModel,
        examples: Sequence[Example],
        windows: Sequence[Window],
        settings: Training,
        *,
        accelerator: Accelerator,
        pad_id: int,
    ) -> None:
        self.groups = [example.group for example in examples]
        self.together: Together = settings.together or 1  # encoders share no prefix
        self.mix: Mix | None = None
        self._windows = [list(rows) for _, rows in groupby(windows, key=lambda w: w.example)]
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator
        self._pad_id = pad_id

    def batch(self, chosen: Sequence[int]) -> SpanBatch:
        """All windows of the chosen examples."""
        windows = list(chain.from_iterable(self._windows[example] for example in chosen))
        return SpanBatch(self, windows)

    def passes(self, windows: Sequence[Window], processes: int) -> list[list[LossSum]]:
        """The passes of each process."""
        budget = self._settings.tokens_per_pass
        dealt = deal([len(window.input_ids) for window in windows], processes)
        return [
            [
                partial(self._loss_sum, members)
                for members in cut_passes(
                    [windows[index] for index in sorted(indices)], tokens_per_pass=budget
                )
            ]
            for indices in dealt
        ]

    def _loss_sum(self, windows: Sequence[Window]) -> Tensor:
        """The sum of the cross-entropies of a pass."""
        rows = pad_pass(windows, pad_id=self._pad_id, device=self._accelerator.device)
        with self._accelerator.autocast(), cpu_kernels():
            logits = span_logits(self._tuned, rows)
        return F.cross_entropy(logits, rows.targets, reduction="sum")


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """The windows of one step; a window has two targets."""

    objective: SpanObjective
    windows: list[Window]

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return sum(len(window.input_ids) for window in self.windows)

    @property
    def targets(self) -> int:
        """A start and an end per window."""
        return 2 * len(self.windows)

    def passes(self, processes: int) -> list[list[LossSum]]:
        """The passes of each process."""
        return self.objective.passes(self.windows, processes)
