"""Attention in blocks: every visible key is in its query's block, and the result is the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.tokentree.measure import (
    plain_gradients,
    relative_difference,
    tree_gradients,
    tuned_decoder,
)
from tests.tokentree.small import EXAMPLES, decoder, example

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import TokenTree, build_tree, pack
from tunelab.tokentree.attention import Row, attention_masks, lay_out, visible
from tunelab.tokentree.blocks import block_attention, cut_blocks, tree_attention

_IDS = st.lists(st.integers(0, 3), min_size=2, max_size=9).map(tuple)
CPU = torch.device("cpu")


@given(st.lists(_IDS, min_size=1, max_size=12), st.integers(1, 8))
def test_blocks_hold_all_that_is_visible(sequences: list[tuple[int, ...]], size: int) -> None:
    tree = build_tree([EncodedExample(ids, (False,) * len(ids)) for ids in sequences])
    blocks = cut_blocks(tree.ends.tolist(), size=size)
    covered = [place for block in blocks for place in range(*block.queries)]
    assert covered == list(range(len(tree)))
    seen = visible(tree)
    for block in blocks:
        begin, end = block.queries
        assert end - begin <= size
        keys = [place for span in block.keys for place in range(*span)]
        assert len(set(keys)) == len(keys)
        others = sorted(set(range(len(tree))).difference(keys))
        assert not seen[begin:end, others].any()


def _deep() -> TokenTree:
    """Instruction, two paragraphs, questions on each; far more than a block of 4."""
    instruction = [1, 2, 3, 4, 5, 6]
    paragraphs = [[*instruction, *range(10 * k, 10 * k + 7)] for k in (1, 2)]
    questions = [example([*p, 30 + q, 31], [40 + q, 2]) for p in paragraphs for q in range(4)]
    return build_tree([*questions, *EXAMPLES])


@pytest.mark.parametrize("window", [None, 5])
def test_attention_in_blocks_is_attention(window: int | None) -> None:
    row = lay_out(_deep(), None, device=CPU)
    model = decoder("mistral", sliding_window=window)
    mask = attention_masks(model, row.seen, row.positions, row.positions, dtype=torch.float32)
    assert isinstance(mask, torch.Tensor)
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, len(row.ends), 8, requires_grad=True).unbind()
    wanted = F.scaled_dot_product_attention(q, k, v, mask)
    with tree_attention(row, size=4) as blocks:
        found = F.scaled_dot_product_attention(q, k, v, mask)
    assert len(blocks.sizes) > 4
    torch.testing.assert_close(found, wanted)
    weights = torch.randn_like(wanted)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), (q, k, v)),
        torch.autograd.grad((wanted * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("name", "method", "sliding"),
    [
        ("llama", "lora", False),
        ("gemma3_text", "full", True),
        ("gpt2", "prompt", False),
        ("mistral", "prefix", True),
    ],
)
def test_blocks_change_no_gradient(
    name: str, method: str, sliding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[block_attention] = []

    def small(row: Row) -> block_attention:
        entered.append(tree_attention(row, size=3))
        return entered[-1]

    monkeypatch.setattr("tunelab.tokentree.reading.tree_attention", small)
    tuned = tuned_decoder(name, method, sliding=sliding)
    found = tree_gradients(tuned, pack(EXAMPLES, tokens_per_pass=100))
    assert relative_difference(found, plain_gradients(tuned, EXAMPLES)) <= 1e-5
    [blocks] = entered
    assert len(blocks.sizes) > 4


def test_other_attention_is_left_alone() -> None:
    row = lay_out(_deep(), None, device=CPU)
    q, k, v = torch.randn(3, 1, 1, 9, 4).unbind()
    with tree_attention(row, size=4):
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v, is_causal=True))
