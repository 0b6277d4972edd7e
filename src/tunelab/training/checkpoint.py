"""Training states that survive a kill, a loss of power, and files that were damaged since.

    checkpoints/step-000150/state.pt                all that changes while a run trains
    checkpoints/step-000150/complete.json           written last: SHA-256 of what belongs to it
    checkpoints/best-epoch-0003.pt                  trained weights of the best epoch so far

A state holds the trained weights, the optimiser, what the method and the proofs remember, the
random state, the steps so far, and how far the run has come. It is flushed to the disk before its
mark is. A checkpoint without its mark, with another checksum, or of other data or another model
does not exist. The one before the newest is kept as well: if the newest turns out to be damaged,
the run goes on from there. States are read with `weights_only=True`: data, never code.

Of a run in several processes the first one writes and reads, and tells the others. What a
checkpoint holds is whole, so that a run goes on with any number of processes, sharded or not; with
another number the random state, which dropout draws from, is not that of an uninterrupted run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch

from tunelab.records import RunDirectory, Step, file_digest, write_atomically
from tunelab.records.files import storage_errors, sync_directory, writing_atomically
from tunelab.training.devices import Devices
from tunelab.tuning import TrainingWatch, TunedModel
from tunelab.tuning.sharded import cut_like, fill, whole

VERSION = 3
"""Of the state's content; a state of another version is not read."""
_KEPT = 2


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    examples: int = 0
    validated: int = 0
    """Epochs that were validated."""
    seconds_validation: float = 0.0
    best_epoch: int | None = None
    best_score: float | None = None


class _UnusableError(Exception):
    """Why a checkpoint does not count, in a few words."""


class _Digested:
    """A file and the SHA-256 of all that is written into it, tensor by tensor: a state is as large
    as what trains, and a copy of it in memory would be the peak of many a run.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        self._digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _write(state: dict[str, Any], path: Path) -> str:
    """Replace a file, durably and in one step; returns its SHA-256.

    Raises:
        StorageError: the disk is full or not writable.
    """
    with writing_atomically(path) as file:
        digested = _Digested(file)
        torch.save(state, digested)  # pyright: ignore[reportArgumentType] - it writes and flushes
    return digested.digest


class Checkpoints:
    """The training states of one run.

    Args:
        directory: where they lie.
        tuned: the model that trains; states are put back into it in place.
        optimizer: likewise.
        watch: likewise.
        origin: names the data and the weights that the training began with.
        devices: the processes of the run; all call the methods together.
        say: told in one line where the run goes on from, and what was passed over.
    """

    def __init__(
        self,
        directory: RunDirectory,
        tuned: TunedModel,
        optimizer: torch.optim.Optimizer,
        watch: TrainingWatch,
        *,
        origin: str,
        devices: Devices,
        say: Callable[[str], None],
    ) -> None:
        self._devices = devices
        self._place = directory.checkpoints
        self._tuned = tuned
        self._trained = tuned.trained_parameters()
        self._optimizer = optimizer
        self._watch = watch
        self._origin = origin
        self._say = say

    def save(self, progress: Progress, steps: list[Step]) -> None:
        """Write a complete checkpoint, then remove all but the one before it.

        Raises:
            StorageError: the disk is full or not writable; the checkpoints before are kept.
        """
        state = {
            "version": VERSION,
            "origin": self._origin,
            "progress": asdict(progress),
            "steps": [step.model_dump_json() for step in steps],
            "parameters": self._weights(),
            "optimizer": self._optimizer_state(),
            "method": self._tuned.method_state(),
            "watch": self._watch.seen(),
            "random": self._devices.from_all(_random_state()),
        }
        if not self._devices.is_first:
            return
        folder = self._place / f"step-{progress.step:06d}"
        best = self._best(progress)
        mark = {
            "state": _write(state, folder / "state.pt"),
            "best": {best.name: file_digest(best)} if best else {},
        }
        with storage_errors(folder):
            sync_directory(self._place)
            write_atomically(folder / "complete.json", json.dumps(mark) + "\n")
        self._remove_all_but_the_last(folder)

    def restore(self) -> tuple[Progress, list[Step]]:
        """Put back the newest checkpoint that is whole; a fresh `Progress` if there is none.

        Weights are copied into the tensors already allocated: their alignment in memory decides
        the rounding of some kernels, and a resumed run on a CPU shall equal an uninterrupted one
        bitwise.
        """
        state = self._devices.from_first(self._newest() if self._devices.is_first else None)
        if state is None:
            return Progress(), []
        copy_into(self._trained, state["parameters"])
        self._restore_optimizer(state["optimizer"])
        self._tuned.restore_method_state(state["method"])
        self._watch.remember(state["watch"])
        before, now = len(state["random"]), self._devices.size
        if before == now:
            _restore_random(state["random"][self._devices.rank])
        else:
            self._say(f"{now} processes go on from the work of {before}: dropout draws anew")
        progress = Progress(**state["progress"])
        self._say(f"goes on from step {progress.step}")
        return progress, [Step.model_validate_json(line) for line in state["steps"]]

    def save_best(self, epoch: int) -> None:
        """Keep the trained weights of the best epoch so far, beside those of the best before."""
        state = {"parameters": self._weights(), "method": self._tuned.method_state()}
        if self._devices.is_first:
            _write(state, self._best_of(epoch))

    def load_best(self, progress: Progress) -> None:
        """Put the best epoch's weights back, where one was chosen."""
        best = self._best(progress)
        if best is None:
            return
        state: dict[str, Any] = {}
        if self._devices.is_first:
            state = torch.load(best, weights_only=True, map_location="cpu")
        state = self._devices.from_first(state)
        copy_into(self._trained, state["parameters"])
        self._tuned.restore_method_state(state["method"])

    def _newest(self) -> dict[str, Any] | None:
        """The state of the newest checkpoint that is whole and of this run."""
        for folder in sorted(self._folders(), key=_step, reverse=True):
            try:
                return self._read(folder)
            except _UnusableError as reason:
                self._say(f"checkpoint {folder.name} is passed over: {reason}")
        return None

    def _read(self, folder: Path) -> dict[str, Any]:
        """A state that fits this run to the last tensor."""
        try:
            mark = json.loads((folder / "complete.json").read_text())
            right = file_digest(folder / "state.pt") == mark["state"] and all(
                file_digest(self._place / name) == digest for name, digest in mark["best"].items()
            )
        except FileNotFoundError as error:
            missing = Path(error.filename).name
            raise _UnusableError(f"it is incomplete, {missing} is missing") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _UnusableError("its completion mark cannot be read") from error
        if not right:
            raise _UnusableError("its checksum differs, the file was damaged")
        try:
            state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
        except (RuntimeError, ValueError, UnpicklingError) as error:
            raise _UnusableError("this version of torch cannot read it") from error
        if state.get("version") != VERSION:
            raise _UnusableError("another version of tunelab wrote it")
        shapes = {name: tensor.shape for name, tensor in self._trained.items()}
        if state["origin"] != self._origin or shapes != {
            name: tensor.shape for name, tensor in state["parameters"].items()
        }:
            raise _UnusableError("it is of other data or another model")
        return state

    def _remove_all_but_the_last(self, newest: Path) -> None:
        complete = [
            folder
            for folder in sorted(self._folders(), key=_step, reverse=True)
            if _step(folder) <= _step(newest) and (folder / "complete.json").exists()
        ]
        kept = complete[:_KEPT]
        for folder in self._folders():
            if folder not in kept:
                (folder / "complete.json").unlink(missing_ok=True)  # first: never half and marked
                shutil.rmtree(folder)
        needed = {name for folder in kept for name in _best_names(folder)}
        for path in self._place.glob("best-epoch-*"):
            if path.name not in needed:
                path.unlink()

    def _best(self, progress: Progress) -> Path | None:
        return None if progress.best_epoch is None else self._best_of(progress.best_epoch)

    def _best_of(self, epoch: int) -> Path:
        return self._place / f"best-epoch-{epoch:04d}.pt"

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: whole(tensor.detach()) for name, tensor in self._trained.items()}

    def _optimizer_state(self) -> dict[str, Any]:
        found = self._optimizer.state_dict()
        found["state"] = {
            number: {name: _map_tensor(value, whole) for name, value in moments.items()}
            for number, moments in found["state"].items()
        }
        return found

    def _restore_optimizer(self, found: dict[str, Any]) -> None:
        held = [tensor for group in self._optimizer.param_groups for tensor in group["params"]]
        for number, moments in found["state"].items():
            for name, value in moments.items():
                cut = partial(cut_like, model=held[number])
                moments[name] = _map_tensor(value, cut)
        self._optimizer.load_state_dict(found)

    def _folders(self) -> list[Path]:
        return [path for path in self._place.glob("step-*") if path.name[5:].isdigit()]


@torch.no_grad()
def copy_into(parameters: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor]) -> None:
    """Copy values by name into parameters that stay where they are."""
    for name, parameter in parameters.items():
        fill(parameter, tensors[name])


def _map_tensor(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return change(value) if isinstance(value, torch.Tensor) else value


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _step(folder: Path) -> int:
    return int(folder.name[5:])


def _best_names(folder: Path) -> list[str]:
    """What a kept checkpoint needs besides itself; none if its mark is damaged."""
    try:
        return list(json.loads((folder / "complete.json").read_text())["best"])
    except (OSError, ValueError, TypeError, KeyError):
        return []
