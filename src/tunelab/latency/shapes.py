"""Shapes of well-known decoders, for measuring without their weights: random ones are as fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunelab.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from transformers import LlamaConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama, by the figures of its config.json."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool
    """Whether input and output embeddings are one."""

    @property
    def head_width(self) -> int:
        """Of one attention head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.read_per_token + (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def read_per_token(self) -> int:
        """Weights that go into every token: all but the input embeddings, unless they are tied."""
        keys = self.key_value_heads * self.head_width
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * keys
        layer = attention + 3 * self.hidden * self.inner + 2 * self.hidden
        return self.layers * layer + self.hidden + self.vocabulary * self.hidden

    def config(self) -> LlamaConfig:
        """For transformers."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            max_position_embeddings=8192,
            tie_word_embeddings=self.tied,
            bos_token_id=0,
            eos_token_id=1,
        )


SHAPES = {
    # meta-llama/Llama-3.2-1B, Llama-3.2-3B, Llama-3.1-8B; JackFram/llama-160m
    "llama-160m": Shape(768, 3072, 12, 12, 12, 32000, tied=False),
    "llama-1b": Shape(2048, 8192, 16, 32, 8, 128256, tied=True),
    "llama-3b": Shape(3072, 8192, 28, 24, 8, 128256, tied=True),
    "llama-8b": Shape(4096, 14336, 32, 32, 8, 128256, tied=False),
}


def find_shape(name: str) -> Shape:
    """A shape by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in SHAPES:
        raise UsageError(f"There is no shape '{name}'.", hint=did_you_mean(name, SHAPES))
    return SHAPES[name]
