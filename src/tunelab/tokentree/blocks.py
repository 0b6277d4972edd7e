"""Attention over a row, block by block: what a tree hides is not computed.

Most of the N x N comparisons of a row say no, since siblings never see each other. But what a run
of tokens can see at all is the path to it and itself, both known beforehand:

    keys        system  paragraph 1   its questions   paragraph 2   its questions
    block 1       \\
    block 2     xxxxxxx      \\
    block 3     xxxxxxx  xxxxxxxxxxx        ?
    block 4     xxxxxxx                                     \\
    block 5     xxxxxxx                              xxxxxxxxxxx          ?

So attention costs about N x (longest sequence) instead of N x N, and rows may be long. Inside its
blocks (\\ and ?) the model's own mask decides, sliding windows included.

`tree_attention(row)` is a context manager; while it is entered, it catches
`F.scaled_dot_product_attention` of any model over that row (torch.overrides.TorchFunctionMode);
nothing is patched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tunelab.tokentree.attention import Row

SIZE = 256
"""Queries of a block at most. Smaller blocks see less in vain, but each costs a few calls."""

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring queries, and every key that any of them may see; as spans of places."""

    queries: _Span
    keys: tuple[_Span, ...]


def cut_blocks(ends: Sequence[int], *, size: int = SIZE) -> list[Block]:
    """Blocks that cover all queries of a row once, in their order.

    A chain longer than a block is cut, smaller subtrees beside each other share a block.

    Args:
        ends: as in a `TokenTree`: the token at place k is seen from the places k to ends[k] - 1.
        size: queries of a block at most.
    """
    blocks: list[Block] = []
    forests: list[tuple[int, int, tuple[_Span, ...]]] = [(0, len(ends), ())]
    while forests:
        place, stop, path = forests.pop()
        begin = place  # of the subtrees that are gathered for a block
        while place < stop:
            end = ends[place]
            if end - begin > size and begin < place:
                blocks.append(Block((begin, place), (*path, (begin, place))))
                begin = place
            if end - begin > size:
                fork = place + 1
                while fork < end and ends[fork] == end:
                    fork += 1
                for first in range(place, fork, size):
                    last = min(first + size, fork)
                    blocks.append(Block((first, last), (*path, (place, last))))
                forests.append((fork, end, (*path, (place, fork))))
                begin = end
            place = end
        if begin < stop:
            blocks.append(Block((begin, stop), (*path, (begin, stop))))
    return sorted(blocks, key=lambda block: block.queries)


def tree_attention(row: Row, *, size: int = SIZE) -> block_attention:
    """A context manager: while entered, attention over a row computes what its tree leaves open."""
    blocks = [
        Block((max(block.queries[0], row.first), block.queries[1]), block.keys)
        for block in cut_blocks(row.ends.tolist(), size=size)
        if block.queries[1] > row.first
    ]
    places = torch.arange(len(row.ends), device=row.ends.device)
    return block_attention(
        [end - begin for begin, end in (block.queries for block in blocks)],
        [torch.cat([places[a:b] for a, b in block.keys]) for block in blocks],
        keys=len(row.ends),
    )


class block_attention(TorchFunctionMode):  # read as a context manager
    """While entered, each block of queries of a row looks at its own keys alone.

    Args:
        sizes: queries of each block.
        seen: of each block the places of the keys that any of its queries may see.
        keys: of the whole row. Attention of any other shape is left as it is.
    """

    def __init__(self, sizes: Sequence[int], seen: Sequence[Tensor], *, keys: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.shape = (sum(sizes), keys)
        self.seen = list(seen)
        self._gathered = torch.cat(self.seen)
        self._masks: dict[int, tuple[Tensor, list[Tensor]]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        shape = (query.shape[-2], key.shape[-2])
        if attn_mask is None or shape != self.shape or len(self.seen) == 1:
            return F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask,
                dropout_p,
                is_causal,
                scale=scale,
                enable_gqa=enable_gqa,
            )
        keys = [len(keys) for keys in self.seen]
        parts = zip(
            query.split(self.sizes, dim=-2),
            key.index_select(-2, self._gathered).split(keys, dim=-2),
            value.index_select(-2, self._gathered).split(keys, dim=-2),
            self._cut(attn_mask),
            strict=True,
        )
        return torch.cat(
            [
                F.scaled_dot_product_attention(
                    *part, dropout_p=dropout_p, scale=scale, enable_gqa=enable_gqa
                )
                for part in parts
            ],
            dim=-2,
        )

    def _cut(self, mask: Tensor) -> list[Tensor]:
        """The blocks of a mask; all layers of a kind bring the same one."""
        if id(mask) not in self._masks:
            rows = mask.split(self.sizes, dim=-2)
            pieces = [row.index_select(-1, keys) for row, keys in zip(rows, self.seen, strict=True)]
            self._masks[id(mask)] = (mask, pieces)
        return self._masks[id(mask)][1]
