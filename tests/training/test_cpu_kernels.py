"""The quick dropout and attention compute what torch's own do."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tunelab.training.cpu_kernels import MAX_WEIGHTS, _Attention, cpu_kernels, keep_mask


@pytest.mark.parametrize("p", [0.1, 0.5, 0.73])
def test_the_share_that_stays_and_its_factor(p: float) -> None:
    torch.manual_seed(0)
    kept, factor = keep_mask((999, 1001), p)  # not a multiple of four
    count = kept.numel()
    stays = 1 / factor
    assert math.isclose(stays, 1 - p, abs_tol=1 / 65536)
    assert abs(kept.float().mean().item() - stays) < 5 * math.sqrt(p * (1 - p) / count)
    centred = (kept.float() - stays).flatten()
    for lag in (1, 2, 3, 4):  # the four elements of one draw must not know of each other
        correlation = (centred[:-lag] * centred[lag:]).mean().item() / (p * (1 - p))
        assert abs(correlation) < 5 / math.sqrt(count)


def test_the_seed_decides_the_mask() -> None:
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        masks.append(keep_mask((50, 50), 0.3)[0])
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def _inputs(keys: int = 7) -> list[torch.Tensor]:
    torch.manual_seed(0)
    sizes = (5, keys, keys)
    return [torch.randn(2, 3, n, 8, dtype=torch.float64, requires_grad=True) for n in sizes]


@pytest.mark.parametrize("p", [0.0, 0.4])
def test_gradients_of_attention(p: float) -> None:
    def attend(*qkv: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return _Attention.apply(*qkv, None, p, 0.3)

    assert torch.autograd.gradcheck(attend, _inputs())


@pytest.mark.parametrize("mask", ["none", "bool", "additive"])
def test_attention_is_torch_s(mask: str) -> None:
    q, k, v = _inputs()
    allowed = torch.rand(2, 1, 5, 7) > 0.3
    allowed[..., 0] = True
    bias = {
        "none": None,
        "bool": allowed,
        "additive": torch.zeros(2, 1, 5, 7, dtype=torch.float64).masked_fill(~allowed, -1e30),
    }[mask]
    expected = F.scaled_dot_product_attention(q, k, v, bias)
    with cpu_kernels():
        found = F.scaled_dot_product_attention(q, k, v, bias)
    assert torch.allclose(found, expected, atol=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), (q, k, v)),
        torch.autograd.grad(expected.square().sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_dropout_scales_what_stays_and_passes_its_gradient() -> None:
    x = torch.full((400, 400), 2.0, requires_grad=True)
    with cpu_kernels():
        y = F.dropout(x, 0.25)
    kept = y != 0
    assert torch.allclose(y[kept], torch.tensor(2 / 0.75))
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(grad, kept / 0.75)


def test_evaluation_is_untouched() -> None:
    x = torch.randn(8, 8)
    with cpu_kernels():
        assert torch.equal(F.dropout(x, 0.5, training=False), x)


def test_long_rows_and_causal_attention_are_left_to_torch() -> None:
    length = math.isqrt(MAX_WEIGHTS) + 1
    q, k, v = torch.randn(3, 1, 1, length, 4, requires_grad=True).unbind()
    with cpu_kernels():
        long = F.scaled_dot_product_attention(q, k, v)
        causal = F.scaled_dot_product_attention(q[..., :9, :], k, v, is_causal=True)
    assert long.grad_fn is not None
    assert causal.grad_fn is not None
    assert "_Attention" not in type(long.grad_fn).__name__ + type(causal.grad_fn).__name__
