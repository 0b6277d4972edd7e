"""A linear layer that stays packed: it unpacks its weights in every pass, and keeps none of them.

compressed-tensors unpacks a model for good at its first forward pass, so that 4 bits become 16 or
32 as soon as training begins. Here the weights are unpacked for one product and let go; the
backward pass unpacks them again instead of keeping them:

    forward    y = x W' + b     W unpacked, used, dropped; only the packed form is remembered
    backward   dx = dy W        W unpacked again; the base itself is frozen

Two 4-bit integers stand in a byte, the even column in its lower half. A group of columns shares a
scale: W[i, j] = scale[i, j // group] * (q[i, j] - 8) for 4 bits, scale * q for 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

# Shapes: O outputs, I inputs, G groups of I / G columns.

_ZERO = 8
"""What 4-bit integers are stored above."""


class PackedLinear(nn.Linear):
    """A frozen linear layer whose weights are 4- or 8-bit integers with scales.

    Args:
        integers: (O, I) int8, from -8 to 7 where `bits` is 4.
        scale: (O, G) of the dtype that the layer computes in.
        bias: (O,), or None.
        bits: 4 or 8.
    """

    def __init__(self, integers: Tensor, scale: Tensor, bias: Tensor | None, *, bits: int) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = integers.shape
        self.bits = bits
        self.packed: Tensor
        self.scale: Tensor
        self.register_buffer("packed", _pack(integers) if bits == 4 else integers.contiguous())
        self.register_buffer("scale", scale.contiguous())
        self.register_parameter(
            "bias", None if bias is None else nn.Parameter(bias, requires_grad=False)
        )

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(O, I) unpacked afresh for who asks (DoRA's norms); it cannot be written to."""
        return self.unpacked().as_subclass(_Unpacked)

    def unpacked(self) -> Tensor:
        """(O, I) the values that the integers stand for, in the dtype of the scales."""
        integers = _unpack(self.packed) if self.bits == 4 else self.packed
        outputs, groups = self.scale.shape
        grouped = integers.view(outputs, groups, -1).to(self.scale.dtype)
        return grouped.mul_(self.scale[..., None]).view(outputs, -1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's own name
        """(..., I) -> (..., O)."""
        return unpacked_product(input, self.unpacked, self.bias)

    def extra_repr(self) -> str:
        """What the layer's print shows."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}"


def unpacked_product(x: Tensor, unpacked: Callable[[], Tensor], bias: Tensor | None) -> Tensor:
    """x W' + b, where W is unpacked for it, and again for the backward pass.

    Args:
        x: (..., I).
        unpacked: makes W, (O, I).
        bias: (O,), or None.
    """
    product: Tensor = _Product.apply(x, unpacked)
    return product if bias is None else product + bias.to(product.dtype)


class _Product(torch.autograd.Function):
    """x W', without keeping W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, unpacked: Callable[[], Tensor]) -> Tensor:
        ctx.unpacked = unpacked
        return linear(x, unpacked().to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad @ ctx.unpacked().to(grad.dtype), None


class _Unpacked(Tensor):
    """A weight that a method may read; writing to it would be lost, so it is refused."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, _value: Tensor) -> NoReturn:
        raise TypeError("the weights of a packed layer cannot be changed; dequantise the base")


def _pack(integers: Tensor) -> Tensor:
    """(O, I) int8 -> (O, I / 2) uint8."""
    shifted = (integers + _ZERO).to(torch.uint8)
    return shifted[:, ::2] | (shifted[:, 1::2] << 4)


def _unpack(packed: Tensor) -> Tensor:
    """(O, I / 2) uint8 -> (O, I) int8."""
    pairs = torch.stack((packed & 15, packed >> 4), dim=-1)
    return pairs.view(packed.shape[0], -1).to(torch.int8) - _ZERO
