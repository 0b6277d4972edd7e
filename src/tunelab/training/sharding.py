"""A model cut into shares with torch's own `fully_shard` (FSDP2): memory for models that no device
holds whole.

    Whole                     gathers embeddings, norms and heads while something is computed in it
      layers 0 .. n - 1       each gathers its own weights when it is read, and lets go of them

A token tree is read from parts of a model (its backbone, then its head), not by the model's own
forward pass. So everything that is computed with a sharded model is computed inside `Whole`, whose
forward pass it is.

Every process reads the checkpoint whole into the memory of its host before it is cut. Bases in few
bits are not cut: bitsandbytes finds what belongs to a weight by the very tensor that cutting takes
apart. Methods whose tensors are used by several layers, or outside of the forward pass, do not
go either; `check_sharding` tells which ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from tunelab.errors import TuningError
from tunelab.recipe import FullTuning, HeadTuning, LoraTuning, NoTuning, Recipe
from tunelab.tuning import TunedModel
from tunelab.tuning.sharded import whole

ResultT = TypeVar("ResultT")
_FEWEST_LAYERS = 2


class Whole(nn.Module):
    """A model, and any computation with it as its forward pass: where DDP and FSDP come in."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], ResultT]) -> ResultT:
        """Do it."""
        return compute()


def check_sharding(recipe: Recipe) -> None:
    """Refuse what FSDP cannot wrap.

    Raises:
        TuningError: with what it can.
    """
    tuning, precision = recipe.tuning, recipe.model.quantize
    if isinstance(tuning, NoTuning):
        return
    if not isinstance(tuning, FullTuning | HeadTuning | LoraTuning):
        raise TuningError(
            f"FSDP cannot wrap tuning.kind={tuning.kind}: it uses its tensors in several layers, "
            "or outside of the forward pass.",
            hint="Use tuning.kind=full, head or lora, or --sharding ddp.",
        )
    if precision != "none":
        raise TuningError(
            f"FSDP cannot cut a base with model.quantize={precision} into shares.",
            hint="Use model.quantize=none with model.dtype=bf16-true, or --sharding ddp.",
        )
    if recipe.training.optimizer != "adamw":
        raise TuningError(
            f"training.optimizer={recipe.training.optimizer} does not go with FSDP, which has "
            "shares of its state already.",
            hint="Use training.optimizer=adamw, or --sharding ddp.",
        )


def shard(root: Whole, tuned: TunedModel, device: torch.device) -> None:
    """Cut every tensor into as many shares as there are processes, on their devices.

    Gradients are averaged over all processes.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for layer in _layers(tuned.checkpoint):
        fully_shard(layer, mesh=mesh)
    fully_shard(root, mesh=mesh)
    root(lambda: None)
    for part in root.modules():  # makes whole tensors that gradients may be taken of later
        if isinstance(part, FSDPModule):
            part.unshard()
            part.reshard()


def reshard(root: nn.Module | None) -> None:
    """Let go of what a computation without gradients left whole."""
    if isinstance(root, FSDPModule):
        root.reshard()


@contextmanager
def put_together(tuned: TunedModel, *, keep: bool) -> Iterator[None]:
    """What is stored is whole for a while, in the memory of the host.

    Args:
        tuned: its model is sharded; the model itself is stored whole, of an adapter what trains.
        keep: whether this process is to have it; the others help.
    """
    stored = tuned.expected if tuned.stored == "adapter" else None
    shares: list[tuple[nn.Module, str, nn.Parameter]] = []
    done: dict[nn.Parameter, nn.Parameter] = {}  # one for tied weights
    for path, module in tuned.model.named_modules():
        for name, tensor in list(module.named_parameters(recurse=False)):
            if stored is not None and f"{path}.{name}".lstrip(".") not in stored:
                continue
            if tensor not in done:
                values = whole(tensor).detach().cpu()
                done[tensor] = nn.Parameter(values if keep else values[:0], requires_grad=False)
            shares.append((module, name, tensor))
    if keep:
        for module, name, tensor in shares:
            setattr(module, name, done[tensor])
    try:
        yield
    finally:
        for module, name, tensor in shares:
            setattr(module, name, tensor)


def _layers(checkpoint: nn.Module) -> Iterator[nn.Module]:
    """The layers of the backbone: what stands in its outermost lists."""
    inside: set[nn.Module] = set()
    for module in checkpoint.modules():
        if isinstance(module, nn.ModuleList) and module not in inside:
            inside.update(module.modules())
            if len(module) >= _FEWEST_LAYERS:
                yield from module
