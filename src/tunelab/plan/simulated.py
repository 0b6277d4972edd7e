"""A checkpoint and its tuning on tensors without data: structure and sizes, made from its
configuration alone.

    configuration -> skeleton (meta device) -> base in its precision -> tuning -> fake tensors

The classes are those that a run loads and PEFT's own, so that what is trained, frozen, shared or
held in few bits is so here too. Layers of libraries that need data to be made (bitsandbytes') are
stood in for by `HeldLinear`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import linear
from transformers import (
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from tunelab.models.quantise import GROUP, NOMINAL_BITS, backbone_linears
from tunelab.recipe import Model, Precision, Recipe
from tunelab.tuning import TunedModel, apply_tuning

_CPU = torch.device("cpu")
_NF4_SCALES = {False: 32 / 64, True: 8 / 64 + 32 / (64 * 256)}
"""Bits a weight: a float32 for 64 weights, or 8 bits and a float32 for 256 of those
(arXiv 2305.14314)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a tuned model, in bytes where nothing else is said."""

    held: int
    """All weights, as they are held."""
    trained: int
    """What has a gradient."""
    trained_parameters: int
    """Numbers."""
    total_parameters: int
    """Numbers, a weight in few bits counted as one."""
    base: int
    """The checkpoint's weights, as they are held."""
    plain: int
    """Of those, what is not held in few bits."""
    file: int
    """Its files."""
    embedding: int
    """Input embeddings that stand by themselves: a few rows of them are read."""
    layer: int
    """The largest of its repeated layers, as it is held."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A tuned model without data."""

    tuned: TunedModel
    fakes: FakeTensorMode
    sizes: Sizes
    mapped: bool
    """Weights lie in the files as they are held, so that they are mapped, not copied."""

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters and buffers."""
        model = self.tuned.model
        return [*model.parameters(), *model.buffers()]


def simulate(recipe: Recipe, config: PretrainedConfig, *, reads_both_ways: bool) -> Simulated:
    """The model of a run as it stands before its first step.

    Args:
        recipe: resolved.
        config: of the checkpoint, or of one with fewer layers.
        reads_both_ways: an encoder.

    Raises:
        TuningError: the method does not fit the model.
    """
    settings = recipe.model
    model = _skeleton(_auto_class(recipe, reads_both_ways), config)
    nn.Module.to(model, _held_type(settings))
    if settings.quantize != "none":
        _hold(model, settings)
    base = _Base.of(model, config)
    with torch.device("meta"):
        tuned = apply_tuning(model, recipe.tuning, total_steps=100, seed=0)
    if recipe.training.gradient_checkpointing and not reads_both_ways:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    _without_data(tuned.model, fakes)
    mapped = _stored_type(config) == _held_type(settings)
    return Simulated(tuned, fakes, _measured(tuned, base), mapped)


class HeldLinear(nn.Linear):
    """A frozen layer that holds its weights in few bits and unpacks them for every product."""

    def __init__(self, layer: nn.Linear, *, bits: float, computed: torch.dtype | None) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._computed = computed
        self.packed: Tensor
        size = round(layer.weight.numel() * bits / 8)
        self.register_buffer("packed", torch.empty(size, dtype=torch.uint8, device="meta"))
        self.register_parameter("bias", layer.bias)

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(O, I) unpacked."""
        return self.unpacked(self._computed or torch.float32)

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """(O, I)."""
        return self.packed.new_empty((self.out_features, self.in_features), dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's own name
        """(..., I) -> (..., O)."""
        x = input if self._computed is None else input.to(self._computed)
        product: Tensor = _Product.apply(x, self)
        return (product if self.bias is None else product + self.bias).to(input.dtype)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: HeldLinear) -> Tensor:
        ctx.layer = layer
        return linear(x, layer.unpacked(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad @ ctx.layer.unpacked(grad.dtype), None


def bits_a_weight(precision: Precision, *, double_quant: bool) -> float:
    """With its scales."""
    match precision:
        case "none":
            return 32
        case "nf4":
            return NOMINAL_BITS[precision] + _NF4_SCALES[double_quant]
        case "gptq-int4":
            return NOMINAL_BITS[precision] + 32 / GROUP
        case "int8" | "gptq-int8":
            return NOMINAL_BITS[precision]


def _auto_class(recipe: Recipe, reads_both_ways: bool) -> Any:
    if not reads_both_ways:
        return AutoModelForCausalLM
    squad = recipe.task.kind == "squad"
    return AutoModelForQuestionAnswering if squad else AutoModelForSequenceClassification


def _skeleton(auto_class: Any, config: PretrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return auto_class.from_config(config, dtype=torch.float32)


def _hold(model: PreTrainedModel, settings: Model) -> None:
    bits = bits_a_weight(settings.quantize, double_quant=settings.double_quant)
    computed = None
    if settings.quantize == "nf4":
        computed = torch.float32 if settings.dtype == "f32" else torch.bfloat16
    for name in backbone_linears(model):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        model.set_submodule(name, HeldLinear(layer, bits=bits, computed=computed))


@dataclass(frozen=True, slots=True)
class _Base:
    """A checkpoint before it is tuned."""

    held: int
    plain: int
    file: int
    embedding: int
    layer: int
    parameters: int

    @classmethod
    def of(cls, model: PreTrainedModel, config: PretrainedConfig) -> _Base:
        held = _bytes([*model.parameters(), *model.buffers()])
        layers = [layer for layer in model.modules() if isinstance(layer, HeldLinear)]
        weights = sum(layer.in_features * layer.out_features for layer in layers)
        packed = sum(layer.packed.nbytes for layer in layers)
        parameters = sum(tensor.numel() for tensor in model.parameters()) + weights
        words, head = model.get_input_embeddings(), model.get_output_embeddings()
        assert isinstance(words, nn.Embedding)
        tied = head is not None and head.weight is words.weight
        repeated = [child for each in model.modules() if isinstance(each, nn.ModuleList)
                    for child in each]  # fmt: skip
        return cls(
            held=held,
            plain=held - packed,
            file=parameters * _stored_type(config).itemsize,
            embedding=0 if tied else words.weight.nbytes,
            layer=max(
                (_bytes([*each.parameters(), *each.buffers()]) for each in repeated), default=held
            ),
            parameters=parameters,
        )


def _stored_type(config: PretrainedConfig) -> torch.dtype:
    return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32


def _held_type(settings: Model) -> torch.dtype:
    return torch.bfloat16 if settings.dtype == "bf16-true" else torch.float32


def _measured(tuned: TunedModel, base: _Base) -> Sizes:
    trained = list(tuned.trained_parameters().values())
    added = [each for each in trained if tuned.stored == "adapter"]
    model = tuned.model
    return Sizes(
        held=_bytes([*model.parameters(), *model.buffers()]),
        trained=_bytes(trained),
        trained_parameters=sum(each.numel() for each in trained),
        total_parameters=base.parameters + sum(each.numel() for each in added),
        base=base.held,
        plain=base.plain,
        file=base.file,
        embedding=base.embedding,
        layer=base.layer,
    )


def _without_data(model: nn.Module, fakes: FakeTensorMode) -> None:
    """Fake tensors for those on the meta device; what is shared stays shared."""
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        with fakes:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype, device=_CPU)
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(empty, requires_grad=tensor.requires_grad)
        return empty

    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    if id(tensor) not in made:
                        made[id(tensor)] = fake(tensor)
                    held[name] = made[id(tensor)]  # pyright: ignore[reportArgumentType]


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Together; what is shared counts once."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())
