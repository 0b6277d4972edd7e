"""Training states that survive a kill.

    checkpoints/step-000150/state.pt        weights, optimiser, random state, progress
    checkpoints/step-000150/complete.json   written last: SHA-256 of state.pt
    checkpoints/best.safetensors            trained weights of the best epoch so far

A checkpoint without its completion mark, or whose checksum differs, does not exist. A new one is
complete before the old one goes. States are read with `weights_only=True`: data, never code.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from tunelab.records import RunDirectory, write_atomically
from tunelab.records.files import storage_errors, sync_directory


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    examples: int = 0
    best_epoch: int | None = None
    best_score: float | None = None


def save_checkpoint(
    directory: RunDirectory,
    progress: Progress,
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a complete checkpoint, then remove the older ones."""
    buffer = io.BytesIO()
    torch.save(
        {
            "progress": asdict(progress),
            "parameters": {name: tensor.detach() for name, tensor in parameters.items()},
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
        buffer,
    )
    content = buffer.getbuffer()
    folder = directory.checkpoints / f"step-{progress.step:06d}"
    with storage_errors(folder):
        write_atomically(folder / "state.pt", bytes(content))
        mark = {"sha256": hashlib.sha256(content).hexdigest()}
        write_atomically(folder / "complete.json", json.dumps(mark) + "\n")
        sync_directory(directory.checkpoints)
    for other in _folders(directory):
        if other != folder:
            shutil.rmtree(other)


def load_checkpoint(
    directory: RunDirectory,
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> Progress:
    """Restore the latest complete checkpoint in place; a fresh `Progress` if there is none.

    Weights are copied into the tensors already allocated: their alignment in memory decides the
    rounding of some kernels, and a resumed run on a CPU shall equal an uninterrupted one bitwise.
    """
    for folder in sorted(_folders(directory), reverse=True):
        content = _complete_content(folder)
        if content is None:
            continue
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        if state["parameters"].keys() != parameters.keys():
            continue  # of another version of the method: train anew
        copy_into(parameters, state["parameters"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random_cuda"])
        return Progress(**state["progress"])
    return Progress()


def save_best(directory: RunDirectory, parameters: dict[str, torch.nn.Parameter]) -> None:
    """Keep the trained weights of the best epoch."""
    content = save({name: tensor.detach().contiguous() for name, tensor in parameters.items()})
    write_atomically(directory.checkpoints / "best.safetensors", content)


def load_best(directory: RunDirectory, parameters: dict[str, torch.nn.Parameter]) -> None:
    """Put the best epoch's weights back."""
    copy_into(parameters, load_file(directory.checkpoints / "best.safetensors"))


@torch.no_grad()
def copy_into(parameters: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor]) -> None:
    """Copy values by name into parameters that stay where they are."""
    for name, parameter in parameters.items():
        parameter.copy_(tensors[name])


def _folders(directory: RunDirectory) -> list[Path]:
    return list(directory.checkpoints.glob("step-*"))


def _complete_content(folder: Path) -> bytes | None:
    """The state's bytes if the mark is there and the checksum is right."""
    try:
        mark = json.loads((folder / "complete.json").read_text())
        content = (folder / "state.pt").read_bytes()
    except (OSError, ValueError):
        return None
    return content if hashlib.sha256(content).hexdigest() == mark.get("sha256") else None
