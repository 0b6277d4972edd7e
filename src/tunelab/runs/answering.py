"""Answers a part of the data with the model of a run, and measures how long that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from tunelab.data import Example
from tunelab.evaluation.predict import predict
from tunelab.evaluation.spans import apply_threshold
from tunelab.evaluation.threshold import choose_threshold
from tunelab.metrics.squad import answer_f1
from tunelab.models.encoder import Encoder
from tunelab.prompts.passes import Pass
from tunelab.prompts.windows import encode_windows
from tunelab.recipe import Recipe
from tunelab.records import Prediction
from tunelab.runs.progress import Display
from tunelab.training.loop import span_logits
from tunelab.tuning import TunedModel

TOKENS_PER_PASS = 4096
"""Without gradients a pass may be larger than in training."""


@dataclass(slots=True)
class Answering:
    """A tuned model that answers questions."""

    recipe: Recipe
    encoder: Encoder
    tuned: TunedModel
    accelerator: Accelerator
    display: Display
    seconds: float = 0.0
    """Spent so far."""

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """One prediction per example, always answered; `name` stands on the progress bar."""
        began = time.perf_counter()
        windows = encode_windows(examples, self.encoder.tokenizer, self.recipe.model)
        self.tuned.model.eval()
        with self.display.phase(name, len(windows)) as advance:
            predictions = predict(
                self._logits,
                examples,
                windows,
                self.recipe.evaluation,
                tokens_per_pass=TOKENS_PER_PASS,
                pad_id=self.encoder.pad_id,
                device=self.accelerator.device,
                advance=lambda count: advance(count, ""),
            )
        self.seconds += time.perf_counter() - began
        return predictions

    @property
    def chooses_threshold(self) -> bool:
        """Whether validation is asked for the no-answer threshold."""
        wanted = self.recipe.evaluation.no_answer_threshold
        return self.recipe.task.version == "2.0" and wanted == "validation"

    def threshold(self, validation: Sequence[Prediction]) -> float | None:
        """The no-answer threshold that the recipe asks for; None where every item is answered."""
        if self.recipe.task.version == "1.1":
            return None
        wanted = self.recipe.evaluation.no_answer_threshold
        if wanted != "validation":
            return wanted
        return choose_threshold(validation) if validation else 0.0

    def validation_f1(self, examples: Sequence[Example]) -> float:
        """Mean F1 on validation with the threshold that is best there, in percent."""
        predictions = self.answer(examples, "validation")
        final = apply_threshold(predictions, self.threshold(predictions))
        return 100.0 * sum(answer_f1(row.answer, row.gold) for row in final) / len(final)

    def _logits(self, rows: Pass) -> torch.Tensor:
        with self.accelerator.autocast():
            return span_logits(self.tuned, rows)
