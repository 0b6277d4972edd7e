"""The objective of decoders: the tokens of the answer, each given all tokens before it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor

from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Training
from tunelab.tokentree.packing import one_by_one
from tunelab.tokentree.reading import target_log_probs
from tunelab.tokentree.tree import TokenTree
from tunelab.training.cpu_kernels import cpu_kernels
from tunelab.training.dealing import deal, deal_rows
from tunelab.training.objective import LossSum, Mix, Together
from tunelab.tuning import TunedModel


class AnswerObjective:
    """The mean negative log-likelihood of the target tokens of a step.

    Args:
        groups: (N,) what each training example belongs to, such as its paragraph.
        encoded: (N,) their tokens.
        share: compute what the examples of a step have in common once.
        mix: how many examples of each part an epoch draws, where they are of several tasks.
    """

    def __init__(
        self,
        tuned: TunedModel,
        groups: Sequence[str],
        encoded: Sequence[EncodedExample],
        settings: Training,
        *,
        accelerator: Accelerator,
        share: bool,
        mix: Mix | None = None,
    ) -> None:
        self.groups = groups
        self.together: Together = settings.together or ("all" if share else 1)
        self.mix = mix
        self.share = share
        self._encoded = encoded
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator

    def batch(self, chosen: Sequence[int]) -> AnswerBatch:
        """The chosen examples."""
        return AnswerBatch(self, [self._encoded[example] for example in chosen])

    def passes(self, encoded: Sequence[EncodedExample], processes: int) -> list[list[LossSum]]:
        """The rows of each process."""
        if self.share:
            budget = self._settings.tokens_per_pass
            dealt = deal_rows(encoded, processes, tokens_per_pass=budget)
        else:
            rows = one_by_one(encoded)
            dealt = [
                [rows[index] for index in indices]
                for indices in deal([len(row.tree) for row in rows], processes)
            ]
        return [[partial(self._loss_sum, row.tree) for row in rows] for rows in dealt]

    def _loss_sum(self, tree: TokenTree) -> Tensor:
        """The sum of the negative log-likelihoods of the targets of a row.

        A token that is a target of several examples counts once for each.
        """
        model = self._tuned.checkpoint
        # layers that are computed a second time would not meet the quick kernels again
        kernels = nullcontext() if model.is_gradient_checkpointing else cpu_kernels()
        with self._accelerator.autocast(), kernels:
            log_probs = target_log_probs(model, tree, virtual=self._tuned.virtual())
        weights = tree.weights[tree.weights > 0]
        return -(log_probs * torch.from_numpy(weights).to(log_probs)).sum()


@dataclass(frozen=True, slots=True)
class AnswerBatch:
    """The examples of one step."""

    objective: AnswerObjective
    encoded: list[EncodedExample]

    @property
    def tokens(self) -> int:
        """Tokens of the examples, each counted whole."""
        return sum(len(example.ids) for example in self.encoded)

    @property
    def targets(self) -> int:
        """Tokens of the answers."""
        return sum(sum(example.targets) for example in self.encoded)

    def passes(self, processes: int) -> list[list[LossSum]]:
        """The rows of each process."""
        return self.objective.passes(self.encoded, processes)
