"""FlexAttention's rule against the dense mask; the kernels themselves need CUDA."""

from __future__ import annotations

import pytest
import torch
from tests.tokentree.small import EXAMPLES, decoder

from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.tokentree import build_tree
from tunelab.tokentree.attention import attention_masks, lay_out, layer_windows
from tunelab.tokentree.flex import block_masks, mask_mod

INPUTS = VirtualInputs(torch.zeros(3, 32))
KEYS = VirtualKeys(((torch.zeros(2, 3, 8), torch.zeros(2, 3, 8)),))


@pytest.mark.parametrize("virtual", [None, INPUTS, KEYS])
def test_block_masks_see_what_dense_masks_see(virtual: VirtualTokens | None) -> None:
    model = decoder("gemma3_text", sliding=True)
    row = lay_out(build_tree(EXAMPLES), virtual, device=torch.device("cpu"))
    queries = row.positions[row.first :]
    dense = attention_masks(model, row.seen, queries, row.positions, dtype=torch.float32)
    blocks = block_masks(model, row)
    assert isinstance(dense, dict)
    assert isinstance(blocks, dict)
    for kind, window in layer_windows(model).items():
        wanted = dense[kind][0, 0] == 0
        asked, keys = (torch.arange(length) for length in wanted.shape)
        sees = mask_mod(row, window)(keys[:1], keys[:1], asked[:, None], keys[None])
        assert torch.equal(sees, wanted)
        assert blocks[kind].shape == (1, 1, *wanted.shape)
    assert row.first == (3 if virtual is KEYS else 0)
