"""Which modules of a checkpoint are its head, its linear layers, its normalisations.

Told from the structure alone (what lies outside the backbone is the head), so that every
architecture is served by the same few lines, whatever it calls its layers.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from tunelab.errors import TuningError, did_you_mean

ALL_LINEAR = "all-linear"


def head_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of the modules outside the backbone that hold parameters, such as `qa_outputs`.

    Raises:
        TuningError: the model is a bare backbone.
    """
    backbone = model.base_model
    names = tuple(
        name
        for name, child in model.named_children()
        if child is not backbone and any(True for _ in child.parameters())
    )
    if not names:
        raise TuningError(
            f"{type(model).__name__} has no head: there is nothing outside its backbone to train.",
            hint="Load the checkpoint with its task, such as AutoModelForQuestionAnswering.",
        )
    return names


def is_decoder(model: PreTrainedModel) -> bool:
    """Whether it predicts the next token: its head is a pretrained output layer."""
    return model.can_generate()


def new_head(model: PreTrainedModel) -> tuple[str, ...]:
    """The modules that came with the task and that every method trains: a decoder has none.

    Raises:
        TuningError: the model is a bare backbone.
    """
    return () if is_decoder(model) else head_names(model)


def linear_layers(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the backbone's linear layers; the head's are not among them."""
    return _names(model, (nn.Linear, Conv1D))


def normalisations(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the backbone's normalisation layers.

    Many decoders bring a class of their own, which is told by its name.
    """
    kinds = {type(module) for module in model.modules() if type(module).__name__.endswith("Norm")}
    return _names(model, (nn.LayerNorm, *kinds))


def match_targets(model: PreTrainedModel, targets: Sequence[str]) -> tuple[str, ...]:
    """Full names of the linear layers that `targets` name.

    Args:
        model: the checkpoint, before any adapter.
        targets: `all-linear`, or names as the layers end with, such as `query` or `output.dense`.

    Raises:
        TuningError: a target names no linear layer; the message lists the names there are.
    """
    layers = linear_layers(model)
    chosen: set[str] = set()
    for target in targets:
        found = {
            layer for layer in layers if target == ALL_LINEAR or f".{layer}".endswith(f".{target}")
        }
        if not found:
            short = {layer.rpartition(".")[2] for layer in layers}
            raise TuningError(
                f"{type(model).__name__} has no linear layer named '{target}'.",
                hint=did_you_mean(target, {*short, ALL_LINEAR}),
            )
        chosen |= found
    return tuple(layer for layer in layers if layer in chosen)


def _names(model: PreTrainedModel, kinds: tuple[type[nn.Module], ...]) -> tuple[str, ...]:
    backbone = model.base_model
    prefix = next(name for name, module in model.named_modules() if module is backbone)
    return tuple(
        f"{prefix}.{name}" if prefix else name
        for name, module in backbone.named_modules()
        if isinstance(module, kinds)
    )
