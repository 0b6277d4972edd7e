"""The objective of encoders with a classification head: the class of each example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from tunelab.data import ChoiceExample
from tunelab.prompts.passes import cut_passes, pad_pass
from tunelab.prompts.windows import Window
from tunelab.recipe import Training
from tunelab.training.cpu_kernels import cpu_kernels
from tunelab.training.objective import Together
from tunelab.tuning import TunedModel


class ClassObjective:
    """The mean cross-entropy of the right classes."""

    def __init__(
        self,
        tuned: TunedModel,
        examples: Sequence[ChoiceExample],
        rows: Sequence[Window],
        settings: Training,
        *,
        accelerator: Accelerator,
        pad_id: int,
    ) -> None:
        self.groups = [example.group for example in examples]
        self.together: Together = settings.together or 1
        self._rows = rows
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator
        self._pad_id = pad_id

    def batch(self, chosen: Sequence[int]) -> ClassBatch:
        """The chosen examples."""
        return ClassBatch(self, [self._rows[example] for example in chosen])

    def loss_sums(self, rows: Sequence[Window]) -> Iterator[Tensor]:
        """The sum of the cross-entropies of each pass."""
        for members in cut_passes(rows, tokens_per_pass=self._settings.tokens_per_pass):
            laid = pad_pass(members, pad_id=self._pad_id, device=self._accelerator.device)
            with self._accelerator.autocast(), cpu_kernels():
                logits = self._tuned.class_logits(
                    laid.input_ids, laid.attention_mask, laid.token_type_ids
                )
            yield F.cross_entropy(logits.float(), laid.targets[:, 0], reduction="sum")


@dataclass(frozen=True, slots=True)
class ClassBatch:
    """The examples of one step, one target each."""

    objective: ClassObjective
    rows: list[Window]

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return sum(len(row.input_ids) for row in self.rows)

    @property
    def targets(self) -> int:
        """A class per example."""
        return len(self.rows)

    def losses(self) -> Iterator[Tensor]:
        """One sum per forward pass."""
        return self.objective.loss_sums(self.rows)
