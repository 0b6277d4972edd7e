"""However a run ends, it ends with a status and a message, and can be gone on with."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.command import ONE_THREAD
from tests.runs.outcome import outcome

from tunelab.errors import UsageError
from tunelab.recipe import Recipe, read_recipe
from tunelab.records import Manifest, RunDirectory
from tunelab.runs import encoding
from tunelab.runs.execute import execute
from tunelab.runs.lock import hold

SETTINGS = ["grid=null", "training.epochs=1", "training.batch_size=2", "task.train_limit=4"]


@pytest.fixture
def recipe(small_recipe: Path) -> Recipe:
    return read_recipe(small_recipe, [*SETTINGS, "task.test_limit=4", "tuning={kind: full}"])


def run(recipe: Recipe, directory: RunDirectory) -> Manifest | None:
    """What a run's process does; None where it could not even write a manifest."""
    execute(recipe, "full", directory, quiet=True, stop=lambda: False)
    return directory.read_manifest() if directory.manifest.exists() else None


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Every file ends at `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("capsys")  # what is printed would go to a file
@pytest.mark.parametrize(
    ("kind", "size", "met"),
    [("none", 500, None), ("none", 8000, "predictions.jsonl"), ("full", 20_000, "state.pt")],
)
def test_a_full_disk_is_told_and_nothing_is_lost(
    small_recipe: Path, tmp_path: Path, kind: str, size: int, met: str | None
) -> None:
    recipe = read_recipe(small_recipe, [*SETTINGS, f"tuning={{kind: {kind}}}"])
    directory, whole = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "whole")
    with files_of_at_most(size):
        limited = run(recipe, directory)
    if limited is None:  # not even a manifest can be written: the parent process tells
        assert met is None
    else:
        assert limited.status == "failed"
        assert limited.message.startswith("Could not write")
        assert f"{met}: File too large" in limited.message
        assert "Free some space" in limited.message
    run(recipe, directory)
    run(recipe, whole)
    assert outcome(directory) == outcome(whole)
    assert not list(directory.path.rglob(".*.tmp"))


def test_a_lack_of_memory_is_a_status(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "encode_windows", lambda *_: torch.empty(10**15))
    manifest = run(recipe, RunDirectory(tmp_path))
    assert manifest is not None
    assert manifest.status == "out_of_memory"
    assert "Lower training.tokens_per_pass" in manifest.message
    assert "Memory ran out" in (tmp_path / "error.txt").read_text()


def test_who_is_asked_to_stop_while_answering_stops_and_goes_on_later(
    recipe: Recipe, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    execute(
        recipe,
        "full",
        directory,
        quiet=True,
        stop=lambda: bool(directory.adapter.exists() or directory.model.exists()),
    )
    stopped = directory.read_manifest()
    assert stopped.status == "interrupted"
    assert "what was trained is in a checkpoint" in stopped.message
    assert not directory.predictions.exists()
    run(recipe, directory)
    whole = RunDirectory(tmp_path / "whole")
    run(recipe, whole)
    assert outcome(directory) == outcome(whole)


def test_a_run_waits_until_its_killed_predecessor_is_gone(tmp_path: Path) -> None:
    holding, order = threading.Event(), list[str]()

    def predecessor() -> None:
        with hold(tmp_path):
            holding.set()
            time.sleep(0.3)
            order.append("predecessor")

    thread = threading.Thread(target=predecessor)
    thread.start()
    holding.wait()
    with pytest.raises(UsageError, match="in use by another tunelab"), hold(tmp_path):
        pass
    with hold(tmp_path, patience=60):
        order.append("successor")
    thread.join()
    assert order == ["predecessor", "successor"]


def test_a_few_kills() -> None:
    """The short form of `make stress`."""
    command = [sys.executable, "-m", "tests.runs.kills", "--kills", "6", "--runs", "2"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=root, env=ONE_THREAD
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 SIGKILLs of the whole process group" in done.stdout
    assert "lost, duplicated or different results: 0" in done.stdout
