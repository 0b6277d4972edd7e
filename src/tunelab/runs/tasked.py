"""A decoder in a run of any task but SQuAD: tuned on what a responder reads, and answering by it.

What differs between such tasks (what is asked, learnt, written or weighed) is the responder's; the
model, how it is tuned and how it is proven is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from tunelab.data import ItemT
from tunelab.errors import DataError
from tunelab.models.decoder import Decoder, load_decoder
from tunelab.models.loading import weights_digest
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.vocabulary import fit_vocabulary
from tunelab.recipe import Recipe
from tunelab.records import Prediction, Proof
from tunelab.runs.decoding import LOOKED_AT, PROBED, log_probs_of
from tunelab.runs.loaded import Loaded
from tunelab.runs.progress import Display
from tunelab.training.answers import AnswerObjective
from tunelab.training.objective import Mix
from tunelab.tuning import apply_tuning
from tunelab.tuning.parity import Logits

ContraT = TypeVar("ContraT", contravariant=True)


@dataclass(frozen=True, slots=True)
class Learnable:
    """Training examples as tokens."""

    kept: list[int]
    """The examples that the model can read."""
    encoded: list[EncodedExample]
    """(len(kept),)"""
    note: str = ""
    """What became of the others."""
    mix: Mix | None = None
    """How many examples of each part an epoch draws, where they are of several tasks."""


class Responder(Protocol[ContraT]):
    """Puts the examples of one task to a decoder, and reads its answers."""

    @property
    def version(self) -> str:
        """Names the wording."""
        ...

    def learn(self, examples: Sequence[ContraT]) -> Learnable:
        """What is trained, as tokens."""
        ...

    def answer(self, examples: Sequence[ContraT], name: str) -> list[Prediction]:
        """One prediction per example, in their order; `name` stands on the progress bar."""
        ...

    def score(self, examples: Sequence[ContraT]) -> float:
        """How good the model is on held-out examples, in a unit of the task's; higher is better."""
        ...


class TaskFamily(Generic[ItemT]):
    """A causal language model that is tuned on a task, and answers it."""

    def __init__(
        self,
        recipe: Recipe,
        responder: Callable[[Loaded], Responder[ItemT]],
        *,
        total_steps: int,
        accelerator: Accelerator,
        display: Display,
    ) -> None:
        decoder = _load(recipe)
        self._recipe = recipe
        self._accelerator = accelerator
        self.tokenizer = decoder.tokenizer
        self.proofs: list[Proof] = []
        self._identity = {
            "class": type(decoder.model).__name__,
            "sha256": weights_digest(decoder.model),
        }
        self.tuned = apply_tuning(
            decoder.model, recipe.tuning, total_steps=total_steps, seed=recipe.seed
        )
        if recipe.training.gradient_checkpointing:
            decoder.model.gradient_checkpointing_enable({"use_reentrant": False})
        self._loaded = Loaded.of(
            recipe, self.tuned, decoder.tokenizer, accelerator=accelerator, display=display
        )
        self._make_responder = responder
        self._responder = responder(self._loaded)
        self.notes = self._loaded.notes
        self.notes.append(f"prompt {self._responder.version}")

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning."""
        return self._identity

    @property
    def share(self) -> bool:
        """Whether what sequences have in common is read once."""
        return self._loaded.share

    def prove_sharing(self, examples: Sequence[ItemT]) -> None:
        """Share prefixes only if what the model says stays the same."""
        self._loaded.prove_sharing(self._responder.learn(examples[:LOOKED_AT]).encoded)

    def objective(self, examples: Sequence[ItemT]) -> AnswerObjective:
        """The likelihood of the right answers, and of nothing else."""
        found = self._responder.learn(examples)
        if found.note:
            self.notes.append(found.note)
        if not found.encoded:
            raise DataError(
                f"None of the {len(examples)} training examples fits model.max_length="
                f"{self._recipe.model.max_length}."
                if examples
                else "There is nothing to train on: the task has no training examples.",
                hint="Raise model.max_length." if examples else "Name some with task.train=FILE.",
            )
        self.proofs = self._loaded.prove_sharing(found.encoded)
        return AnswerObjective(
            self.tuned,
            [examples[index].group for index in found.kept],
            found.encoded,
            self._recipe.training,
            accelerator=self._accelerator,
            share=self._loaded.share,
            mix=found.mix,
        )

    def answer(self, examples: Sequence[ItemT], name: str) -> list[Prediction]:
        """One prediction per example."""
        loaded = replace(self._loaded, tuned=self.tuned)  # exporting asks other models too
        return self._make_responder(loaded).answer(examples, name)

    def score(self, examples: Sequence[ItemT]) -> float:
        """How good the model is on held-out examples; higher is better."""
        return self._responder.score(examples)

    def probe(self, examples: Sequence[ItemT]) -> Logits:
        """Log-probabilities of the answers of a few examples; without autocast."""
        found = self._responder.learn(examples[:LOOKED_AT])  # some may be too long
        return log_probs_of(found.encoded[:PROBED], share=self._loaded.share)

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint as it was before tuning."""
        loaded = _load(self._recipe).model
        torch.nn.Module.to(loaded, self._accelerator.device)
        return loaded


def _load(recipe: Recipe) -> Decoder:
    decoder = load_decoder(recipe.model, seed=recipe.seed)
    fit_vocabulary(decoder.model, decoder.tokenizer, reasoning_tokens=0)
    return decoder
