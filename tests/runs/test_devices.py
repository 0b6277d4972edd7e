"""Two processes train what one trains: the same losses and gradients, step by step; whatever
becomes of one of them, the run ends with a status and can be gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tests.command import ONE_THREAD

from tunelab.errors import Interrupted
from tunelab.recipe import Recipe, read_recipe
from tunelab.records import Manifest, RunDirectory, find_runs
from tunelab.runs.experiment import run_experiment
from tunelab.runs.process import Workers
from tunelab.runs.team import LocalTeam
from tunelab.training.devices import Sharding

import_module("tunelab.runs.execute")  # once, before runs are forked
pytestmark = pytest.mark.slow


@pytest.fixture
def path(small_data: Path, small_encoder: Path, tmp_path: Path) -> Path:
    """Fifty steps, no dropout."""
    content: dict[str, Any] = {
        "name": "devices",
        "task": {
            "version": "2.0",
            "train": str(small_data / "train.json"),
            "test": str(small_data / "test.json"),
            "test_limit": 4,
            "train_limit": 40,
            "validation": 0.1,
        },
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40, "dropout": 0.0},
        "tuning": {"kind": "lora"},
        "training": {
            "epochs": 10,
            "batch_size": 8,
            "learning_rate": 1.0e-3,
            "tokens_per_pass": 512,
            "checkpoint_steps": 10,
            "select": "last",
        },
        "evaluation": {"max_new_tokens": 4},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def done(recipe: Recipe, out: Path, sharding: Sharding | None = None) -> RunDirectory:
    assert manifest(recipe, out, sharding).status == "ok"
    return find_runs(out)[0]


def manifest(recipe: Recipe, out: Path, sharding: Sharding | None = None) -> Manifest:
    workers = Workers("fork", team=LocalTeam(2, sharding) if sharding else None)
    [found] = run_experiment(recipe, out, quiet=True, workers=workers)
    return found


def checkpointed(out: Path) -> Callable[[], bool]:
    """Whether a checkpoint is there that is not there now; older ones go meanwhile."""
    before = set(out.rglob("complete.json"))
    return lambda: not before.issuperset(out.rglob("complete.json"))


@contextmanager
def disturbed(act: Callable[[], None], *, when: Callable[[], bool]) -> Iterator[None]:
    """Something happens as soon as something else has, if it has before the body ends."""
    over = threading.Event()

    def watch() -> None:
        while not when():
            if over.wait(0.01):
                return
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def terminate() -> None:
    """As a user does."""
    os.kill(os.getpid(), signal.SIGTERM)


def kill_the_second() -> None:
    """The processes of a run are the children of this one, in the order of their ranks."""
    second = sorted(psutil.Process().children(), key=lambda child: child.pid)[-1]
    second.kill()


@pytest.fixture
def accelerated() -> Iterator[None]:
    """This process has an accelerator of its own, which those that are forked off it inherit."""
    Accelerator(cpu=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


_SHIFTED = "qa_outputs.bias"
"""The same number is added to all scores of a softmax: its true gradient is zero."""


@pytest.mark.usefixtures("accelerated")
@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_two_processes_learn_what_one_learns(
    path: Path, small_decoder: Path, tmp_path: Path, family: str, tuning: str
) -> None:
    model = f"model={{path: {small_decoder}, max_length: 512}}"
    overrides = [f"tuning={{kind: {tuning}}}", *([model] if family == "decoder" else [])]
    recipe = read_recipe(path, overrides)
    one = done(recipe, tmp_path / "one")
    wanted = one.read_steps()
    assert len(wanted) == 50
    for sharding in ("ddp", "fsdp"):
        two = done(recipe, tmp_path / sharding, sharding)
        steps = two.read_steps()
        assert [s.loss for s in steps] == pytest.approx([s.loss for s in wanted], rel=1e-5)
        norms = [s.grad_norm for s in steps]
        assert norms == pytest.approx([s.grad_norm for s in wanted], rel=1e-5)
        assert [s.target_tokens for s in steps] == [s.target_tokens for s in wanted]
        assert two.read_manifest().hardware["processes"] == f"2 ({sharding})"
        proofs = {proof.name: proof.held for proof in two.read_manifest().proofs}
        assert all(proofs.values())
        assert ("all processes hold the same weights" in proofs) == (sharding == "ddp")
        assert [p.id for p in two.read_predictions()] == [p.id for p in one.read_predictions()]
        stored = {
            name: tensor for file in two.weights() for name, tensor in load_file(file).items()
        }
        for file in one.weights():
            for name, tensor in load_file(file).items():
                if not name.endswith(_SHIFTED):
                    assert torch.allclose(stored[name], tensor, atol=1e-3), name


def test_a_run_goes_on_with_another_number_of_processes(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path)
    wanted = done(recipe, tmp_path / "one").read_steps()
    out = tmp_path / "two"
    for sharding in ("ddp", "fsdp"):
        with pytest.raises(Interrupted), disturbed(terminate, when=checkpointed(out)):
            manifest(recipe, out, sharding)
        assert find_runs(out)[0].read_manifest().status == "interrupted"
    steps = done(recipe, out).read_steps()
    assert [s.loss for s in steps] == pytest.approx([s.loss for s in wanted], rel=1e-4)


def test_a_process_that_is_killed_ends_the_run_with_a_status(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with disturbed(kill_the_second, when=checkpointed(out)):
        found = manifest(read_recipe(path), out, "ddp")
    assert found.status == "out_of_memory"
    assert "Process 1 of the run: The system killed it (signal 9)" in found.message
    assert done(read_recipe(path), out, "ddp").read_steps()[-1].step == 50


def test_torchrun(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += ["--local-addr", "127.0.0.1"]
    command += ["-m", "tunelab", "run", str(path), "training.epochs=1", "--out", str(out)]
    command += ["grid={seed: [0, 1]}", "--quiet"]
    told = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=ONE_THREAD
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("lora") >= 1
    for run in find_runs(out):
        assert run.read_manifest().hardware["processes"] == "2 (ddp)"
    assert len(find_runs(out)) == 2
