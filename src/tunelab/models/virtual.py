"""Virtual tokens: what prompt and prefix tuning put in front of every sequence of a decoder.

PEFT trains and stores them; `tuning` makes these values of them, and `tokentree` lays them out as
the root that all sequences of a row share. Real tokens have their positions after them, as in
PEFT's own forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers import DynamicCache

# Shapes: V virtual tokens, H width of the input embeddings.


@dataclass(frozen=True, slots=True)
class VirtualInputs:
    """Embeddings in front of the input (prompt tuning and its kin)."""

    embeddings: Tensor
    """(V, H), as the model's input embeddings give them."""

    def __len__(self) -> int:
        return len(self.embeddings)


@dataclass(frozen=True, slots=True)
class VirtualKeys:
    """Keys and values in front of those of every layer (prefix tuning and its kin)."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each layer, (heads, V, width), as the layer's own cache keeps them."""

    def __len__(self) -> int:
        return self.layers[0][0].shape[1]

    def cache(self) -> DynamicCache:
        """They as the past of one row; new at every call, since a forward pass writes into it."""
        return DynamicCache([(keys[None], values[None]) for keys, values in self.layers])


VirtualTokens = VirtualInputs | VirtualKeys
