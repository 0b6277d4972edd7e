"""Which allocator the processes of runs use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.command import tunelab

from tunelab.records import find_runs
from tunelab.training import allocator

installed = pytest.mark.skipif(allocator.tcmalloc() is None, reason="tcmalloc is not installed")
SAYS = "from tunelab.training.allocator import in_use; print(in_use())"


@installed
def test_what_is_started_for_runs_uses_tcmalloc_and_this_process_stays_as_it_is() -> None:
    before = os.environ.get("LD_PRELOAD")
    with allocator.for_runs():
        inside = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True)
    assert inside.stdout.strip() == "tcmalloc"
    assert os.environ.get("LD_PRELOAD") == before
    outside = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True)
    assert outside.stdout.strip() == allocator.in_use() != "tcmalloc"


def test_a_users_own_choice_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "libmine.so")
    with allocator.for_runs():
        assert os.environ["LD_PRELOAD"] == "libmine.so"
    assert not allocator.runs_use_tcmalloc()
    monkeypatch.setenv("LD_PRELOAD", "/opt/libtcmalloc.so.4")
    assert allocator.runs_use_tcmalloc()


def test_without_the_library_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.setattr(allocator, "tcmalloc", lambda: None)
    with allocator.for_runs():
        assert "LD_PRELOAD" not in os.environ
    assert not allocator.runs_use_tcmalloc()


@installed
def test_a_run_tells_its_allocator(tmp_path: Path) -> None:
    recipe = {
        "task": {"version": "1.1", "train": "reading", "test": "reading"}
        | {"train_limit": 16, "test_limit": 2, "validation": 0},
        "model": {"path": "minilm", "max_length": 128, "stride": 32},
        "tuning": {"kind": "head"},
        "training": {"epochs": 1, "batch_size": 8, "select": "last"},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    [run] = find_runs(tmp_path / "out")
    assert run.read_manifest().hardware["allocator"] == "tcmalloc"
