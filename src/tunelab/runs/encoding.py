"""Encoders in a run: windows over the context, spans as answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from tunelab.data import Example
from tunelab.evaluation.predict import predict, span_logits
from tunelab.models.encoder import load_encoder
from tunelab.models.loading import weights_digest
from tunelab.prompts.passes import Pass, pad_pass
from tunelab.prompts.shared import shared_windows
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import Evaluation, Recipe
from tunelab.records import Prediction, Proof
from tunelab.runs.progress import Display
from tunelab.training.spans import SpanObjective
from tunelab.tuning import TunedModel, apply_tuning
from tunelab.tuning.apply import load_stored, model_to_load
from tunelab.tuning.parity import Logits

TOKENS_PER_PASS = 4096
"""Without gradients a pass may be larger than in training."""
PROBED = 2
"""Windows that models are compared on: every weight takes part in each."""


class EncoderFamily:
    """A tuned encoder with a span head."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        total_steps: int,
        accelerator: Accelerator,
        display: Display,
        stored: Path | None = None,
        tokens: Path | None = None,
    ) -> None:
        self.notes: list[str] = []
        self.proofs: list[Proof] = []
        self.share = False
        self._recipe = recipe
        self._accelerator = accelerator
        self._display = display
        self._tokens = tokens
        self.answered_tokens = 0
        settings = model_to_load(recipe, stored)
        encoder = load_encoder(settings, seed=recipe.seed)
        self.tokenizer = encoder.tokenizer
        self._pad_id = encoder.pad_id
        self._identity = {
            "class": type(encoder.model).__name__,
            "sha256": weights_digest(encoder.model),
            "quantize": settings.quantize,
            "head": "new" if encoder.fresh_head else "from the checkpoint",
        }
        if stored is None:
            self.tuned = apply_tuning(
                encoder.model, recipe.tuning, total_steps=total_steps, seed=recipe.seed
            )
        else:
            self.tuned = load_stored(encoder.model, stored, recipe.tuning)

    def answering_by(self, settings: Evaluation) -> Self:
        """The same model, answering in another way."""
        other = copy.copy(self)
        other._recipe = self._recipe.model_copy(update={"evaluation": settings})
        return other

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning, and whether the head is new."""
        return self._identity

    def prove_sharing(self, examples: Sequence[Example]) -> None:
        """An encoder reads every window by itself."""

    def objective(self, examples: Sequence[Example]) -> SpanObjective:
        """The cross-entropies of the answers' starts and ends."""
        return SpanObjective(
            self.tuned,
            examples,
            self._windows(examples),
            self._recipe.training,
            accelerator=self._accelerator,
            pad_id=self._pad_id,
        )

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """The best span of each example, over its windows."""
        windows = self._windows(examples)
        self.answered_tokens += sum(len(window.input_ids) for window in windows)
        self.tuned.model.eval()
        with self._display.phase(name, len(windows)) as advance:
            return predict(
                self._span_logits,
                examples,
                windows,
                self._recipe.evaluation,
                tokens_per_pass=TOKENS_PER_PASS,
                pad_id=self._pad_id,
                device=self._accelerator.device,
                advance=lambda count: advance(count, ""),
            )

    @property
    def reader(self) -> None:
        """An encoder gives no text a probability."""

    def probe(self, examples: Sequence[Example]) -> Logits:
        """Span logits on the first windows; without autocast: what differs is the weights."""
        windows = encode_windows(examples[:PROBED], self.tokenizer, self._recipe.model)
        rows = pad_pass(windows[:PROBED], pad_id=self._pad_id, device=self._accelerator.device)

        def logits(tuned: TunedModel) -> torch.Tensor:
            tuned.model.eval()
            with torch.inference_mode():
                return span_logits(tuned, rows)

        return logits

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint, with the same new head."""
        loaded = load_encoder(self._recipe.model, seed=self._recipe.seed).model
        torch.nn.Module.to(loaded, self._accelerator.device)
        return loaded

    def _windows(self, examples: Sequence[Example]) -> list[Window]:
        return shared_windows(examples, self.tokenizer, self._recipe.model, folder=self._tokens)

    def _span_logits(self, rows: Pass) -> torch.Tensor:
        with self._accelerator.autocast():
            return span_logits(self.tuned, rows)
