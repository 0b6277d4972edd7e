"""Loads a causal language model and its tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tunelab.models.loading import load_any_tokenizer, load_weights, refuse_missing
from tunelab.models.quantise_gptq import Calibration, text_calibration
from tunelab.recipe import Model


@dataclass(frozen=True, slots=True)
class Decoder:
    """A model that reads left to right and predicts the next token, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    calibration: Calibration | None
    """What its GPTQ base was made with."""


Calibrating = Callable[[PreTrainedTokenizerBase], Calibration]
"""Reads what GPTQ is calibrated on with the tokenizer of the checkpoint."""


def load_decoder(settings: Model, *, seed: int, calibrating: Calibrating | None = None) -> Decoder:
    """Load the checkpoint of a recipe.

    Args:
        settings: the checkpoint.
        seed: of weights that are new.
        calibrating: for a GPTQ base, unless the settings name a text of their own.

    Raises:
        ModelError: the checkpoint is missing, is no causal language model, needs pickled weights,
            lacks weights, reads fewer than `max_length` tokens, or cannot be quantised as asked.
    """
    tokenizer = load_any_tokenizer(settings)
    calibration = _calibration(settings, tokenizer, calibrating)
    model, missing = load_weights(
        AutoModelForCausalLM, settings, seed=seed, calibration=calibration
    )
    refuse_missing(settings, missing, wanted="causal language model")
    return Decoder(model, tokenizer, calibration)


def _calibration(
    settings: Model, tokenizer: PreTrainedTokenizerBase, calibrating: Calibrating | None
) -> Calibration | None:
    if not settings.quantize.startswith("gptq"):
        return None
    if settings.calibration is not None:
        return text_calibration(settings, tokenizer)
    return calibrating(tokenizer) if calibrating else None
