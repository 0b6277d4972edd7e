"""What a quantised base holds in memory, measured from the tensors that are there; and its undoing.

A library may keep more than it promises: compressed-tensors unpacks a checkpoint for good at its
first forward pass. So nothing here asks what a layer should hold: every tensor that can be reached
from it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from tunelab.models.quantise import forget_quantiser
from tunelab.models.quantise_packed import PackedLinear, unpacked_product

_SLACK_BITS = 1.0
"""What scales may add to the nominal bits of a weight."""
_SLACK_BYTES = 2048
"""What constants, such as the values of nf4, may add to a layer; they weigh on tiny ones alone."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the quantised layers of a model hold."""

    layers: int
    weights: int
    nominal_bits: int
    """Of a weight, by the kind of its layer."""
    bytes: int
    """Of all tensors that the layers hold, scales included, biases not."""

    @property
    def bits(self) -> float:
        """For each weight."""
        return 8 * self.bytes / self.weights

    @property
    def is_packed(self) -> bool:
        """Whether it is no more than the nominal bits with scales and constants."""
        allowed = self.weights * (self.nominal_bits + _SLACK_BITS) / 8 + self.layers * _SLACK_BYTES
        return self.bytes <= allowed

    @property
    def sentence(self) -> str:
        """With figures, and what 16 bits would take."""
        return (
            f"The {self.weights:,} weights of {self.layers} linear layers are held in "
            f"{self.bits:.2f} bits each: {self.bytes / 1e6:.1f} MB, where 16 bits would be "
            f"{self.weights * 2 / 1e6:.1f} MB"
        )


def quantised_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Full name -> layer, of bitsandbytes' kinds and ours."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, PackedLinear)
        or (isinstance(module, nn.Linear) and type(module).__module__.startswith("bitsandbytes."))
    }


def measure(model: nn.Module) -> Held | None:
    """What the quantised layers hold; None where there are none."""
    layers = quantised_layers(model)
    if not layers:
        return None
    biases = {id(layer.bias) for layer in layers.values()}
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for layer in layers.values()
        for tensor in _reachable(vars(layer), set(biases))
    }
    weights = sum(layer.in_features * layer.out_features for layer in layers.values())
    nominal = max(_nominal_bits(layer) for layer in layers.values())
    return Held(len(layers), weights, nominal, sum(storages.values()))


@contextmanager
def kept_for_backward() -> Iterator[list[Tensor]]:
    """All tensors that forward passes keep for the backward pass, while it is entered."""
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept


@torch.no_grad()
def bits_held(model: nn.Module, kept: list[Tensor]) -> float | None:
    """Bits a weight in the middle of a step: as the layers hold them, and what is kept of them in
    unpacked form for the backward pass; None where nothing is quantised.

    Args:
        model: quantised.
        kept: what a forward pass kept.
    """
    found = measure(model)
    if found is None:
        return None
    storages: dict[int, int] = {}
    for layer in quantised_layers(model).values():
        shape = (layer.out_features, layer.in_features)
        alike = [each for each in kept if each.is_floating_point() and each.ndim == len(shape)]
        alike = [each for each in alike if tuple(each.shape) in (shape, shape[::-1])]
        if not alike:
            continue
        weight = unpacked_weight(layer).float()
        for tensor in alike:
            turned = [way for way in (tensor, tensor.T) if tuple(way.shape) == shape]
            if any(torch.allclose(way.float(), weight, rtol=1e-2) for way in turned):
                storage = tensor.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
    return 8 * (found.bytes + sum(storages.values())) / found.weights


def parameter_count(model: nn.Module) -> int:
    """Parameters, a packed weight counted as what it stands for."""
    layers = quantised_layers(model)
    packed = {f"{name}.weight" for name in layers}
    plain = sum(p.numel() for name, p in model.named_parameters() if name not in packed)
    return plain + sum(layer.in_features * layer.out_features for layer in layers.values())


def held_bytes(model: nn.Module) -> int:
    """Bytes of all weights as they are held, which is what they take on disk.

    Of a sharded model those of all processes together.
    """
    if any(isinstance(tensor, DTensor) for tensor in model.parameters()):
        held = (*model.parameters(), *model.buffers())
        return sum(tensor.numel() * tensor.itemsize for tensor in held)
    storages: dict[int, int] = {}
    for module in model.modules():
        for tensor in _reachable(vars(module), set()):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(storages.values())


@torch.no_grad()
def dequantise(model: PreTrainedModel, *, dtype: torch.dtype) -> PreTrainedModel:
    """Replace the quantised layers of a base by plain ones with the values they stand for.

    In place, before any adapter is put on. What is added to such a base is added to the weights
    that the adapter was trained on.
    """
    for name, layer in quantised_layers(model).items():
        weight = unpacked_weight(layer).to(dtype)
        plain = nn.Linear(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            device=weight.device,
            dtype=dtype,
        )
        plain.weight.copy_(weight)
        if layer.bias is not None:
            plain.bias.copy_(layer.bias)
        model.set_submodule(name, plain.requires_grad_(False))
    forget_quantiser(model)
    return model


def rounds_activations(model: nn.Module) -> bool:
    """Whether what goes into its layers is rounded too (int8): plain ones say nearly so."""
    return bool(_rounding(model))


@contextmanager
def unrounded(model: nn.Module) -> Iterator[None]:
    """For a while, layers that round what they read (int8) multiply it as it is by the values that
    their weights stand for.
    """
    layers = _rounding(model)
    for layer in layers:
        layer.forward = partial(_unrounded_product, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _unrounded_product(layer: nn.Linear, input: Tensor) -> Tensor:  # noqa: A002 - as nn.Linear has it
    return unpacked_product(input, partial(unpacked_weight, layer), layer.bias)


def _rounding(model: nn.Module) -> list[nn.Linear]:
    return [each for each in quantised_layers(model).values() if "8bit" in type(each).__name__]


def unpacked_weight(layer: nn.Linear) -> Tensor:
    """(out, in) the values that a quantised layer stands for."""
    if isinstance(layer, PackedLinear):
        return layer.unpacked()
    from peft.utils.integrations import dequantize_module_weight

    return dequantize_module_weight(layer)


def _nominal_bits(layer: nn.Linear) -> int:
    if isinstance(layer, PackedLinear):
        return layer.bits
    return 8 if "8bit" in type(layer).__name__ else 4


def _reachable(thing: Any, seen: set[int]) -> Iterator[Tensor]:
    """The tensors in a value, in its items and attributes; not those of other modules."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    match thing:
        case nn.Module():
            return
        case Tensor():
            yield thing
            yield from _reachable(vars(thing), seen)
        case dict():
            for value in thing.values():
                yield from _reachable(value, seen)
        case list() | tuple():
            for value in thing:
                yield from _reachable(value, seen)
        case _ if type(thing).__module__.startswith("bitsandbytes."):
            yield from _reachable(vars(thing), seen)
        case _:
            return
