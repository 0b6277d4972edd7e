"""Attention of a row behind kept keys, on a CPU: the keys that all see, then each block its own.

    keys       kept (all see all of it)   | question 1 | question 2 | ...
    block 1    whole row at once, no mask |     \\
    block 2                               |            |     \\

Attention over both is the two parts weighed by how much of the softmax falls to each:

    out = (exp(a) A + exp(b) B) / (exp(a) + exp(b)) = A + sigmoid(b - a) (B - A)

where a and b are the logarithms of the sums that the softmax divides by. So a block copies no kept
keys, and the kernel reads them for hundreds of queries at a time. Windows that end within what is
kept, and anything but float32, take the way of `blocks`: under autocast queries and keys may be
float32 (a rotation made them so) while values are not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tunelab.tokentree.attention import Row
from tunelab.tokentree.blocks import Block, block_attention, cut_blocks, tree_attention


class kept_attention(block_attention):  # read as a context manager
    """While entered, attention over a row behind kept keys is computed in the two parts.

    Args:
        row: the kept keys, and behind them the tree that is read; no gradients.
    """

    def __init__(self, row: Row) -> None:
        otherwise = tree_attention(row)
        super().__init__(otherwise.sizes, otherwise.seen, keys=len(row.ends))
        self._kept = row.first
        self._blocks = cut_blocks((row.ends[row.first :] - row.first).tolist())
        self._own: dict[int, tuple[Tensor, list[Tensor] | None]] = {}

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
        floats = {query.dtype, key.dtype, value.dtype} == {torch.float32}
        plain = floats and dropout_p == 0 and not enable_gqa
        own = self._masks_of(attn_mask) if shape == self.shape and plain else None
        if own is None:
            return super()._attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
            )
        kept = self._kept
        all_see, sums = _flash(query, key[:, :, :kept], value[:, :, :kept], None, scale)
        parts: list[Tensor] = []
        for block, mask in zip(self._blocks, own, strict=True):
            chosen = slice(*block.queries)
            keys, values = (self._spans(each, block) for each in (key, value))
            part, own_sums = _flash(query[:, :, chosen], keys, values, mask, scale)
            share = torch.sigmoid(own_sums - sums[:, :, chosen]).unsqueeze(-1)
            parts.append(torch.lerp(all_see[:, :, chosen], part, share))
        return torch.cat(parts, dim=2)

    def _spans(self, states: Tensor, block: Block) -> Tensor:
        pieces = [states[:, :, self._kept + a : self._kept + b] for a, b in block.keys]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)

    def _masks_of(self, mask: Tensor | None) -> list[Tensor] | None:
        """Of each block, about its own keys; None if some query does not see all that is kept."""
        if mask is None:
            return None
        if id(mask) not in self._own:
            cut = None
            if not mask[..., : self._kept].any():  # a mask is 0 where a key is seen
                tree = mask[..., self._kept :]
                cut = [
                    torch.cat(
                        [tree[..., slice(*block.queries), a:b] for a, b in block.keys], dim=-1
                    )
                    for block in self._blocks
                ]
            self._own[id(mask)] = (mask, cut)
        return self._own[id(mask)][1]


def _flash(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> tuple[Tensor, Tensor]:
    """What torch's scaled_dot_product_attention calls on a CPU, with its sums.

    Returns:
        (1, heads, Q, width) attention; (1, heads, Q) logarithms of the sums in the softmax.
    """
    found, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, False, attn_mask=mask, scale=scale
    )
    return found, sums
