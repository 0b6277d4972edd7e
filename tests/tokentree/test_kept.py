"""Attention in two parts is attention."""

from __future__ import annotations

import pytest
import torch
from tests.tokentree.small import EXAMPLES
from torch.nn.functional import scaled_dot_product_attention

from tunelab.tokentree import kept as module
from tunelab.tokentree.attention import Row, lay_out
from tunelab.tokentree.kept import kept_attention
from tunelab.tokentree.tree import build_tree


def behind(kept: int) -> Row:
    """The trees of the examples behind so many kept keys."""
    row = lay_out(build_tree(EXAMPLES), None, device=torch.device("cpu"))
    path = torch.arange(kept)
    return Row(
        ends=torch.cat((torch.full_like(path, kept + len(row.ends)), row.ends + kept)),
        positions=torch.cat((path, row.positions + kept)),
        first=kept,
    )


@pytest.mark.parametrize("kept", [1, 40, 300])
@pytest.mark.parametrize("window", [None, 30])
def test_two_parts_are_one(kept: int, window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    row = behind(kept)
    seen = row.seen
    if window is not None:
        seen = seen & (row.positions[kept:, None] - row.positions < window)
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
    torch.manual_seed(0)
    query = torch.randn(1, 3, len(row.ends) - kept, 8)
    key, value = torch.randn(2, 1, 3, len(row.ends), 8)
    parts: list[int] = []
    flash = module._flash
    monkeypatch.setattr(module, "_flash", lambda *given: (parts.append(1), flash(*given))[1])
    with kept_attention(row):
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.7)
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.7)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    hidden = window is not None and kept >= window
    assert bool(parts) != hidden  # a window that ends within what is kept goes the other way
