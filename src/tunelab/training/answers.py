"""The objective of decoders: the tokens of the answer, each given all tokens before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from tunelab.data import ChoiceExample, Example
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Training
from tunelab.tokentree.packing import one_by_one, pack
from tunelab.tokentree.reading import target_log_probs
from tunelab.training.cpu_kernels import cpu_kernels
from tunelab.training.objective import Together
from tunelab.tuning import TunedModel


class AnswerObjective:
    """The mean negative log-likelihood of the target tokens of a step.

    Args:
        examples: N training examples.
        encoded: (N,) their tokens.
        share: compute what the examples of a step have in common once.
    """

    def __init__(
        self,
        tuned: TunedModel,
        examples: Sequence[Example] | Sequence[ChoiceExample],
        encoded: Sequence[EncodedExample],
        settings: Training,
        *,
        accelerator: Accelerator,
        share: bool,
    ) -> None:
        self.groups = [example.group for example in examples]
        self.together: Together = settings.together or ("all" if share else 1)
        self.share = share
        self._encoded = encoded
        self._tuned = tuned
        self._settings = settings
        self._accelerator = accelerator

    def batch(self, chosen: Sequence[int]) -> AnswerBatch:
        """The chosen examples."""
        return AnswerBatch(self, [self._encoded[example] for example in chosen])

    def loss_sums(self, encoded: Sequence[EncodedExample]) -> Iterator[Tensor]:
        """The sum of the negative log-likelihoods of the targets of each pass.

        A token that is a target of several examples counts once for each.
        """
        budget = self._settings.tokens_per_pass
        rows = pack(encoded, tokens_per_pass=budget) if self.share else one_by_one(encoded)
        model = self._tuned.checkpoint
        for packed in rows:
            # layers that are computed a second time would not meet the quick kernels again
            kernels = nullcontext() if model.is_gradient_checkpointing else cpu_kernels()
            with self._accelerator.autocast(), kernels:
                log_probs = target_log_probs(model, packed.tree, virtual=self._tuned.virtual())
            weights = packed.tree.weights[packed.tree.weights > 0]
            yield -(log_probs * torch.from_numpy(weights).to(log_probs)).sum()


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

    def losses(self) -> Iterator[Tensor]:
        """One sum per forward pass."""
        return self.objective.loss_sums(self.encoded)
