"""Keys and values of one row that grows at its end.

The caches of transformers belong to sequences: they copy everything at each step to append a
token, drop what has left a sliding window, and are reordered for beams. A tree needs none of it.
Its tokens stay where they were put, whoever descends from them; windows are in the mask, measured
between positions; and new tokens, one per branch, are written behind the last.

    keys   [ prompts .......... | a  b  c | a  b  c | b  c | room ......... ]
                                 step 1    step 2    step 3

The room doubles when it is used up, and shrinks when most branches have ended (`keep`). What was
read behind a place can be dropped (`cut`), so that something else is read behind it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class GrowingLayer(CacheLayerMixin):
    """Keys and values of one layer: (1, heads, room, size), the first `length` places in use."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make as much room as the first tokens need."""
        self.keys = torch.empty_like(key_states)
        self.values = torch.empty_like(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write new places behind the last, and return all that are in use."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        end = self.length + key_states.shape[2]
        if end > self.keys.shape[2]:
            self.keys = _roomier(self.keys, self.length, end)
            self.values = _roomier(self.values, self.length, end)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, places: Tensor) -> None:
        """Forget all places but these, given in rising order."""
        assert self.keys is not None and self.values is not None
        self.keys = self.keys.index_select(2, places)
        self.values = self.values.index_select(2, places)
        self.length = len(places)

    def cut(self, length: int) -> None:
        """Forget the places from `length` on; their room is written over."""
        self.length = min(self.length, length)

    def get_seq_length(self) -> int:
        """Places in use."""
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a mask is about, once the queries are written; none are left out in front."""
        return self.length + query_length, 0

    def get_max_length(self) -> int:
        """No limit, in the words of transformers."""
        return -1


class GrowingCache(Cache):
    """One growing row for every layer of a model."""

    layers: list[GrowingLayer]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=GrowingLayer)

    def keep(self, places: Tensor) -> None:
        """Forget all places but these, (K,) int64 in rising order."""
        for layer in self.layers:
            layer.keep(places)

    def cut(self, length: int) -> None:
        """Forget the places from `length` on."""
        for layer in self.layers:
            layer.cut(length)


def _roomier(states: Tensor, length: int, needed: int) -> Tensor:
    shape = list(states.shape)
    shape[2] = max(needed, 2 * shape[2])
    roomier = states.new_empty(shape)
    roomier[:, :, :length] = states[:, :, :length]
    return roomier
