"""bitsandbytes' optimiser in the place of torch's."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from tunelab.errors import ModelError
from tunelab.recipe import Training
from tunelab.training.optimizers import check_optimizer, make_optimizer


def step(layer: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    layer(torch.ones(2, 128)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_moments_in_eight_bits_survive_a_checkpoint() -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
    settings = Training(optimizer="adamw-8bit")
    torch.manual_seed(0)
    layer = nn.Linear(128, 64)
    groups = [{"params": list(layer.parameters()), "lr": 1e-2, "weight_decay": 0.0}]
    optimizer = make_optimizer(settings, groups)
    step(layer, optimizer)
    assert optimizer.state[layer.weight]["state1"].dtype == torch.uint8
    assert optimizer.state[layer.bias]["state1"].dtype == torch.float32  # too small to be worth it

    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)  # as training.checkpoint does
    buffer.seek(0)
    again = copy.deepcopy(layer)
    resumed = make_optimizer(settings, [{**groups[0], "params": list(again.parameters())}])
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for _ in range(3):
        step(layer, optimizer)
        step(again, resumed)
    assert torch.equal(layer.weight, again.weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_paged_memory_needs_cuda() -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
    with pytest.raises(ModelError, match="no CUDA device"):
        check_optimizer(Training(optimizer="paged-adamw"))
