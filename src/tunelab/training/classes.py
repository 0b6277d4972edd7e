"""The objective of encoders with a classification head: the class of each example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from tunelab.data import ChoiceExample
from tunelab.prompts.passes import cut_passes, pad_pass
from tunelab.prompts.windows import Window
from tunelab.recipe import Training
from tunelab.training.cpu_kernels import cpu_kernels
from tunelab.training.dealing import deal
from tunelab.training.objective import LossSum, Mix, Together
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
        self.mix: Mix | None = None
        self._rows = rows
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator
        self._pad_id = pad_id

    def batch(self, chosen: Sequence[int]) -> ClassBatch:
        """The chosen examples."""
        return ClassBatch(self, [self._rows[example] for example in chosen])

    def passes(self, rows: Sequence[Window], processes: int) -> list[list[LossSum]]:
        """The passes of each process."""
        budget = self._settings.tokens_per_pass
        dealt = deal([len(window.input_ids) for window in rows], processes)
        return [
            [
                partial(self._loss_sum, members)
                for members in cut_passes(
                    [rows[index] for index in sorted(indices)], tokens_per_pass=budget
                )
            ]
            for indices in dealt
        ]

    def _loss_sum(self, rows: Sequence[Window]) -> Tensor:
        """The sum of the cross-entropies of a pass."""
        laid = pad_pass(rows, pad_id=self._pad_id, device=self._accelerator.device)
        with self._accelerator.autocast(), cpu_kernels():
            logits = self._tuned.class_logits(
                laid.input_ids, laid.attention_mask, laid.token_type_ids
            )
        return F.cross_entropy(logits.float(), laid.targets[:, 0], reduction="sum")


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

    def passes(self, processes: int) -> list[list[LossSum]]:
        """The passes of each process."""
        return self.objective.passes(self.rows, processes)
