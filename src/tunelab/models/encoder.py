"""Loads an extractive question-answering model and its tokenizer.

The head of a plain encoder is new: its weights are drawn from the recipe's seed, and nothing but
the head may be new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tunelab.errors import ModelError
from tunelab.models.loading import load_any_tokenizer, load_weights, refuse_missing
from tunelab.recipe import Model


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model that reads both ways and points at spans, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fresh_head: bool
    """The head was not in the checkpoint: its weights are random."""

    @property
    def pad_id(self) -> int:
        """The padding token; never attended to, so its choice changes nothing."""
        known = self.tokenizer.pad_token_id
        return known if isinstance(known, int) else 0


def load_encoder(settings: Model, *, seed: int) -> Encoder:
    """Load the checkpoint of a recipe; equal seeds give equal heads.

    Raises:
        ModelError: the checkpoint is missing, is no encoder for question answering, needs pickled
            weights, lacks weights other than the head's, or reads fewer than `max_length` tokens.
    """
    tokenizer = load_tokenizer(settings)
    model, new = load_weights(AutoModelForQuestionAnswering, settings, seed=seed)
    inside = f"{model.base_model_prefix}."  # what lies outside is the head
    missing = frozenset(name for name in new if name.startswith(inside))
    refuse_missing(settings, missing, wanted="encoder for question answering")
    return Encoder(model, tokenizer, fresh_head=bool(new))


def load_classifier(settings: Model, *, labels: Sequence[str], seed: int) -> Encoder:
    """Load the checkpoint of a recipe with a head for some classes; equal seeds, equal heads.

    Raises:
        ModelError: the checkpoint is missing, is no encoder with a classification head, needs
            pickled weights, lacks weights other than the head's, or reads fewer than `max_length`
            tokens.
    """
    tokenizer = load_tokenizer(settings)
    model, new = load_weights(
        AutoModelForSequenceClassification, settings, seed=seed, labels=labels
    )
    inside = f"{model.base_model_prefix}."
    missing = frozenset(name for name in new if name.startswith(inside))
    refuse_missing(settings, missing, wanted="encoder for classification")
    return Encoder(model, tokenizer, fresh_head=bool(new))


def load_tokenizer(settings: Model) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a checkpoint: offsets need a fast one."""
    tokenizer: Any = load_any_tokenizer(settings)
    if not tokenizer.is_fast or tokenizer.cls_token_id is None:
        raise ModelError(
            f"The tokenizer of '{settings.path}' cannot be used: tunelab needs a fast tokenizer "
            "with character offsets and a [CLS] token.",
            hint="Choose an encoder such as distilbert-base-uncased.",
        )
    return tokenizer
