"""Tensors of which every process holds a part: put together, and cut again.

All processes of a run must call these together.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: Tensor) -> Tensor:
    """All of it, on every process; itself where it is not sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def cut_like(tensor: Tensor, model: Tensor) -> Tensor:
    """This process's part of a tensor that everybody has whole, cut as `model` is."""
    if not isinstance(model, DTensor) or tensor.ndim == 0:
        return tensor
    return distribute_tensor(
        tensor.to(model.device), model.device_mesh, model.placements, src_data_rank=None
    )


@torch.no_grad()
def fill(tensor: Tensor, values: Tensor) -> None:
    """Copy values that everybody has whole into a tensor that stays where it is."""
    if isinstance(tensor, DTensor):
        local = cast("DTensor", cut_like(values, tensor)).to_local()
        tensor.to_local().copy_(local)
    else:
        tensor.copy_(values)
