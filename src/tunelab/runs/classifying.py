"""Encoders and tasks with the same few answers throughout: a classification head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from tunelab.data import ChoiceExample
from tunelab.evaluation.choosing import chosen
from tunelab.evaluation.measure import first_metric
from tunelab.metrics.pubmedqa import LABELS
from tunelab.models.encoder import load_classifier
from tunelab.models.loading import weights_digest
from tunelab.prompts.pairs import encode_pairs
from tunelab.prompts.passes import Pass, cut_passes, pad_pass
from tunelab.prompts.windows import Window
from tunelab.recipe import Recipe
from tunelab.records import Prediction, Proof
from tunelab.runs.progress import Display
from tunelab.training.classes import ClassObjective
from tunelab.tuning import TunedModel, apply_tuning
from tunelab.tuning.parity import Logits

TOKENS_PER_PASS = 4096
"""Without gradients a pass may be larger than in training."""
PROBED = 8
"""Rows that models are compared on."""


class ClassFamily:
    """A tuned encoder that puts a question and its context into a class."""

    def __init__(
        self, recipe: Recipe, *, total_steps: int, accelerator: Accelerator, display: Display
    ) -> None:
        self.notes: list[str] = []
        self.proofs: list[Proof] = []
        self.share = False
        self._recipe = recipe
        self._accelerator = accelerator
        self._display = display
        encoder = load_classifier(recipe.model, labels=LABELS, seed=recipe.seed)
        self.tokenizer = encoder.tokenizer
        self._pad_id = encoder.pad_id
        self._identity = {
            "class": type(encoder.model).__name__,
            "sha256": weights_digest(encoder.model),
            "head": "new" if encoder.fresh_head else "from the checkpoint",
        }
        self.tuned = apply_tuning(
            encoder.model, recipe.tuning, total_steps=total_steps, seed=recipe.seed
        )

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning, and whether the head is new."""
        return self._identity

    def prove_sharing(self, examples: Sequence[ChoiceExample]) -> None:
        """An encoder reads every window by itself."""

    def objective(self, examples: Sequence[ChoiceExample]) -> ClassObjective:
        """The cross-entropy of the right classes."""
        return ClassObjective(
            self.tuned,
            examples,
            self._encode(examples, "training"),
            self._recipe.training,
            accelerator=self._accelerator,
            pad_id=self._pad_id,
        )

    def answer(self, examples: Sequence[ChoiceExample], name: str) -> list[Prediction]:
        """The likeliest class of each example."""
        rows = self._encode(examples, name)
        self.tuned.model.eval()
        found: dict[int, list[float]] = {}
        with torch.inference_mode(), self._display.phase(name, len(rows)) as advance:
            for members in cut_passes(rows, tokens_per_pass=TOKENS_PER_PASS):
                with self._accelerator.autocast():
                    log_probs = _log_probs(self.tuned, self._lay_out(members)).tolist()
                found |= {row.example: each for row, each in zip(members, log_probs, strict=True)}
                advance(len(members), "")
        return [
            chosen(example, example.choices, found[index]) for index, example in enumerate(examples)
        ]

    def score(self, examples: Sequence[ChoiceExample]) -> float:
        """The task's first metric on held-out questions, in points."""
        return first_metric(self._recipe.task, self.answer(examples, "validation"))

    def probe(self, examples: Sequence[ChoiceExample]) -> Logits:
        """Log-probabilities of the classes of a few examples; without autocast."""
        laid = self._lay_out(self._encode(examples[:PROBED], "training"))

        def log_probs(tuned: TunedModel) -> torch.Tensor:
            tuned.model.eval()
            with torch.inference_mode():
                return _log_probs(tuned, laid)

        return log_probs

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint, with the same new head."""
        loaded = load_classifier(self._recipe.model, labels=LABELS, seed=self._recipe.seed).model
        torch.nn.Module.to(loaded, self._accelerator.device)
        return loaded

    def _encode(self, examples: Sequence[ChoiceExample], name: str) -> list[Window]:
        rows, shortened = encode_pairs(examples, self.tokenizer, self._recipe.model)
        told = (
            f"{name}: {shortened} of {len(rows)} contexts lost their end (never the question): "
            f"longer than model.max_length={self._recipe.model.max_length}"
        )
        if shortened and not any(note.startswith(f"{name}: ") for note in self.notes):
            self.notes.append(told)
        return rows

    def _lay_out(self, rows: Sequence[Window]) -> Pass:
        return pad_pass(rows, pad_id=self._pad_id, device=self._accelerator.device)


def _log_probs(tuned: TunedModel, rows: Pass) -> torch.Tensor:
    """(B, classes) float32."""
    logits = tuned.class_logits(rows.input_ids, rows.attention_mask, rows.token_type_ids)
    return logits.float().log_softmax(-1)
