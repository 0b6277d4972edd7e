"""Loads a causal language model and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tunelab.models.loading import load_any_tokenizer, load_weights, refuse_missing
from tunelab.recipe import Model


@dataclass(frozen=True, slots=True)
class Decoder:
    """A model that reads left to right and predicts the next token, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_decoder(settings: Model, *, seed: int) -> Decoder:
    """Load the checkpoint of a recipe.

    Raises:
        ModelError: the checkpoint is missing, is no causal language model, needs pickled weights,
            lacks weights, or reads fewer than `max_length` tokens.
    """
    tokenizer = load_any_tokenizer(settings)
    model, missing = load_weights(AutoModelForCausalLM, settings, seed=seed)
    refuse_missing(settings, missing, wanted="causal language model")
    return Decoder(model, tokenizer)
