"""FlexAttention's rule against the dense mask; the kernels themselves need CUDA."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.tokentree.measure import tuned_decoder
from tests.tokentree.small import EXAMPLES, decoder
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.tokentree import build_tree
from tunelab.tokentree.attention import attention_masks, lay_out, layer_windows
from tunelab.tokentree.flex import block_masks, mask_mod
from tunelab.tokentree.reading import target_log_probs

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


@pytest.mark.parametrize(
    ("name", "method", "sliding"),
    [("llama", "full", False), ("gemma2", "prompt", True), ("mistral", "prefix", True)],
)
@torch.no_grad()
def test_models_read_block_masks_as_dense_ones(
    name: str, method: str, sliding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torch.compile, which would make kernels: the same rule, the same hand-over."""

    def uncompiled(
        query: Tensor, key: Tensor, value: Tensor, *, training: bool = False, **options: Any
    ) -> Any:
        calls.append(type(options["block_mask"]))
        return flex_attention(query, key, value, **options)

    calls: list[type] = []
    place = "transformers.integrations.flex_attention.compile_friendly_flex_attention"
    monkeypatch.setattr(place, uncompiled)
    tuned = tuned_decoder(name, method, sliding=sliding)
    tree = build_tree(EXAMPLES)
    wanted = target_log_probs(tuned.checkpoint, tree, virtual=tuned.virtual())
    tuned.checkpoint.set_attn_implementation("flex_attention")
    found = target_log_probs(tuned.checkpoint, tree, virtual=tuned.virtual())
    assert calls == [BlockMask] * 2  # one for each layer
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
