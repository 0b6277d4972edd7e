"""A checkpoint is complete, or it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tunelab.records import RunDirectory
from tunelab.training.checkpoint import (
    Progress,
    load_best,
    load_checkpoint,
    save_best,
    save_checkpoint,
)


def trained_layer() -> tuple[dict[str, nn.Parameter], torch.optim.AdamW]:
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return dict(layer.named_parameters()), optimizer


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_weights_optimiser_and_random_state_come_back(directory: RunDirectory) -> None:
    parameters, optimizer = trained_layer()
    torch.manual_seed(1)
    save_checkpoint(directory, Progress(7, 112, 1, 55.5), parameters, optimizer)
    drawn = torch.rand(3)
    others, other_optimizer = trained_layer()
    places = [tensor.data_ptr() for tensor in others.values()]

    assert load_checkpoint(directory, others, other_optimizer) == Progress(7, 112, 1, 55.5)
    assert all(torch.equal(others[name], parameters[name]) for name in parameters)
    assert [tensor.data_ptr() for tensor in others.values()] == places
    assert torch.equal(torch.rand(3), drawn)
    moments = [optimizer.state[p]["exp_avg"] for p in parameters.values()]
    restored = [other_optimizer.state[p]["exp_avg"] for p in others.values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, restored, strict=True))


def test_only_the_latest_is_kept(directory: RunDirectory) -> None:
    parameters, optimizer = trained_layer()
    for step in (5, 10):
        save_checkpoint(directory, Progress(step), parameters, optimizer)
    assert [folder.name for folder in directory.checkpoints.iterdir()] == ["step-000010"]


@pytest.mark.parametrize("damage", ["no mark", "torn state", "flipped byte"])
def test_a_damaged_checkpoint_does_not_exist(directory: RunDirectory, damage: str) -> None:
    parameters, optimizer = trained_layer()
    save_checkpoint(directory, Progress(5), parameters, optimizer)
    folder = directory.checkpoints / "step-000005"
    content = (folder / "state.pt").read_bytes()
    match damage:
        case "no mark":
            (folder / "complete.json").unlink()
        case "torn state":
            (folder / "state.pt").write_bytes(content[: len(content) // 2])
        case _:
            flipped = bytes([content[100] ^ 1])
            (folder / "state.pt").write_bytes(content[:100] + flipped + content[101:])
    before = {name: tensor.clone() for name, tensor in parameters.items()}
    assert load_checkpoint(directory, parameters, optimizer) == Progress()
    assert all(torch.equal(before[name], parameters[name]) for name in before)


def test_the_best_weights_come_back(directory: RunDirectory) -> None:
    parameters, _ = trained_layer()
    best = {name: tensor.detach().clone() for name, tensor in parameters.items()}
    directory.checkpoints.mkdir()
    save_best(directory, parameters)
    with torch.no_grad():
        for tensor in parameters.values():
            tensor.zero_()
    load_best(directory, parameters)
    assert all(torch.equal(best[name], parameters[name]) for name in best)
