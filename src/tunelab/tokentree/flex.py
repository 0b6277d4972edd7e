"""The same comparison as block masks of FlexAttention, for models loaded with it on CUDA.

A dense mask of a row of N tokens holds N x N numbers per kind of layer; a block mask says which
blocks of 128 x 128 are seen at all, and the comparison itself runs inside the kernel. This is
chosen with `attn_implementation="flex_attention"` when the model is loaded; attention dropout is
not possible with it (transformers refuses it).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import PreTrainedModel

from tunelab.tokentree.attention import Row, layer_windows, per_layer

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def block_masks(model: PreTrainedModel, row: Row) -> BlockMask | dict[str, BlockMask]:
    """What a model with FlexAttention takes as `attention_mask` to read a row."""
    keys = len(row.ends)
    queries = keys - row.first
    masks = {
        kind: create_block_mask(
            mask_mod(row, window), None, None, queries, keys, device=str(row.ends.device)
        )
        for kind, window in layer_windows(model).items()
    }
    return per_layer(masks)


def mask_mod(row: Row, window: int | None) -> MaskMod:
    """Whether a query sees a key, k <= q < ends[k] within the window, element by element."""
    ends, positions, first = row.ends, row.positions, row.first

    def sees(_row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        place = query + first
        return (key <= place) & (place < ends[key])

    if window is None:
        return sees

    def sees_near(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = positions[query + first] - positions[key]
        return sees(batch, head, query, key) & (distance < window)

    return sees_near
