"""Attention and dropout that cost little on a CPU, for the short rows of a training pass.

torch's CPU kernels leave time lying in two places, together about half of an encoder's step:

- `bernoulli_` draws one float from a serial generator for every element. Here one 64-bit draw of
  torch's own global generator serves four elements: drop where a 16-bit number is below
  round(p * 65536), and scale the rest by exactly 1 / (1 - that share).
- fused attention computes its weights again in the backward pass, block by block. A row of a few
  hundred tokens is one block: keeping its weights and using plain matrix products is quicker.

`cpu_kernels()` is a context manager; while it is entered, it catches `F.dropout` and
`F.scaled_dot_product_attention` of any model (torch.overrides.TorchFunctionMode); nothing is
patched. Elsewhere than on a CPU, for longer rows, and where an attention asks for what is not
covered here (causal without a mask, grouped heads, a bias that is trained), torch's own code runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

MAX_WEIGHTS = 512 * 1024
"""Attention weights of a head up to which keeping them is quicker than computing them twice."""
_RANGE = 1 << 16

# Shapes: B rows, H heads, L queries, S keys, D features of a head.


def keep_mask(shape: Sequence[int], p: float) -> tuple[Tensor, float]:
    """Which elements stay, as bool, and the factor that keeps the expectation; p to 1 / 65536."""
    count = math.prod(shape)
    dropped = round(p * _RANGE)
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    numbers = draws.view(torch.int16)[:count].view(*shape)  # -32768 .. 32767, uniform
    return numbers >= dropped - _RANGE // 2, _RANGE / (_RANGE - dropped)


class cpu_kernels(TorchFunctionMode):  # read as a context manager
    """While entered, dropout and short attention take the quick way on a CPU."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.dropout:
            return _dropout(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        return func(*args, **kwargs)


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p in (0.0, 1.0) or x.device.type != "cpu" or inplace:
        return F.dropout(x, p, training, inplace)
    return _Dropout.apply(x, p)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    covered = (
        query.device.type == "cpu"
        and query.shape[-2] * key.shape[-2] <= MAX_WEIGHTS
        and not (is_causal or enable_gqa or dropout_p == 1.0)
        and not (attn_mask is not None and attn_mask.requires_grad)
    )
    if not covered:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if torch.is_autocast_enabled("cpu"):  # rotated queries and keys are float32, values are not
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        lowest = torch.finfo(query.dtype).min
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, lowest)
    if scale is None:
        scale = query.shape[-1] ** -0.5
    return _Attention.apply(query, key, value, attn_mask, dropout_p, scale)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        kept, ctx.factor = keep_mask(x.shape, p)
        ctx.save_for_backward(kept)
        return (x * kept).mul_(ctx.factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(grad, kept, ctx.factor), None


class _Attention(torch.autograd.Function):
    """softmax(q k' * scale + bias), dropped out, times v; keeps the (B, H, L, S) weights."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, p: float, scale: float
    ) -> Tensor:
        scores = torch.matmul(q * scale, k.transpose(-1, -2))
        if bias is not None:
            scores += bias
        weights = torch.softmax(scores, dim=-1)
        kept, ctx.factor = keep_mask(weights.shape, p) if p > 0.0 else (None, 1.0)
        ctx.scale = scale
        ctx.save_for_backward(q, k, v, weights, kept)
        return torch.matmul(_masked(weights, kept), v).mul_(ctx.factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q, k, v, weights, kept = ctx.saved_tensors
        grad = grad * ctx.factor
        grad_v = torch.matmul(_masked(weights, kept).transpose(-1, -2), grad)
        grad_weights = _masked(torch.matmul(grad, v.transpose(-1, -2)), kept)
        grad_scores = torch.ops.aten._softmax_backward_data(
            grad_weights, weights, -1, weights.dtype
        )
        grad_q = torch.matmul(grad_scores, k).mul_(ctx.scale)
        grad_k = torch.matmul(grad_scores.transpose(-1, -2), q).mul_(ctx.scale)
        return grad_q, grad_k, grad_v, None, None, None


def _masked(x: Tensor, kept: Tensor | None) -> Tensor:
    return x if kept is None else x * kept
