"""The objective of extractive encoders: where the answer starts and where it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from tunelab.training.objective import Together
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
        self._windows = [list(rows) for _, rows in groupby(windows, key=lambda w: w.example)]
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator
        self._pad_id = pad_id

    def batch(self, chosen: Sequence[int]) -> SpanBatch:
        """All windows of the chosen examples."""
        windows = list(chain.from_iterable(self._windows[example] for example in chosen))
        return SpanBatch(self, windows)

    def loss_sums(self, windows: Sequence[Window]) -> Iterator[Tensor]:
        """The sum of the cross-entropies of each pass."""
        for members in cut_passes(windows, tokens_per_pass=self._settings.tokens_per_pass):
            rows = pad_pass(members, pad_id=self._pad_id, device=self._accelerator.device)
            with self._accelerator.autocast(), cpu_kernels():
                logits = span_logits(self._tuned, rows)
            yield F.cross_entropy(logits, rows.targets, reduction="sum")


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

    def losses(self) -> Iterator[Tensor]:
        """One sum per forward pass."""
        return self.objective.loss_sums(self.windows)
