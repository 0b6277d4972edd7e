"""A tokenizer of a few hundred tokens, trained on the pretraining text in a moment."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from pretraining import vocabulary


def small_tokenizer(patch: pytest.MonkeyPatch) -> PreTrainedTokenizerFast:
    """The tokenizer as pretraining makes it, but smaller."""
    patch.setattr(vocabulary, "SIZE", 500)
    patch.setattr(vocabulary, "_SHEETS", 30)
    return vocabulary.train_tokenizer(seed=0)
