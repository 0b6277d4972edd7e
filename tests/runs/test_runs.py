"""Runs from the command line: finished ones are kept, killed ones go on, wrong ones are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.command import ONE_THREAD, tunelab
from tests.runs.outcome import outcome

from tunelab.recipe import Recipe, read_recipe
from tunelab.records import Manifest, find_runs


def manifests(out: Path) -> dict[str, Manifest]:
    read = [directory.read_manifest() for directory in find_runs(out)]
    return {manifest.label: manifest for manifest in read}


def test_a_grid_is_trained_scored_and_tabled(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tunelab("run", small_recipe, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    found = manifests(out)
    assert set(found) == {"none", "full", "head", "lora-r8"}
    assert all(manifest.status == "ok" for manifest in found.values())
    assert all(proof.held for manifest in found.values() for proof in manifest.proofs)
    assert all(found[label].proofs for label in ("full", "head", "lora-r8"))

    costs = {label: manifest.cost for label, manifest in found.items()}
    trained = {label: cost.trained_parameters for label, cost in costs.items() if cost}
    assert trained["none"] == 0
    assert trained["head"] == 32 * 2 + 2
    assert trained["head"] < trained["lora-r8"] < trained["full"]

    for directory in find_runs(out):
        assert len(directory.read_predictions()) == 20
        assert directory.read_scores()["squad_v2"]["f1"].count == 20
        assert not list(directory.checkpoints.glob("step-*"))
    first, *_ = (out / "table.md").read_text().partition("## ")
    assert first.count("| lora-r8") == 1
    assert "lora-r8" in done.stdout

    # doing it again does nothing: no manifest is written anew
    before = {d.path: d.manifest.stat().st_mtime_ns for d in find_runs(out)}
    assert tunelab("run", small_recipe, "--out", out, "--quiet").returncode == 0
    assert {d.path: d.manifest.stat().st_mtime_ns for d in find_runs(out)} == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_and_ends_the_same(
    small_recipe: Path, tmp_path: Path, number: signal.Signals
) -> None:
    settings = ["grid=null", "tuning={kind: lora}", "training.epochs=8"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert tunelab("run", small_recipe, *settings, "--out", whole, "--quiet").returncode == 0

    command = [sys.executable, "-m", "tunelab", "run", str(small_recipe), *settings]
    process = subprocess.Popen(
        [*command, "--out", str(cut), "--quiet"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        env=ONE_THREAD,
    )
    wait_for_steps(cut, at_least=7)
    os.killpg(process.pid, number)
    process.wait(600)
    if number != signal.SIGKILL:
        assert process.returncode == 130
    (stopped,) = find_runs(cut)
    done = len(stopped.read_steps())
    assert 7 <= done < 40
    assert stopped.read_manifest().status in ("running", "interrupted")
    assert list(stopped.checkpoints.glob("step-*/complete.json"))

    assert tunelab("run", small_recipe, *settings, "--out", cut, "--quiet").returncode == 0
    (finished,) = find_runs(cut)
    (uninterrupted,) = find_runs(whole)
    assert outcome(finished) == outcome(uninterrupted)


def wait_for_steps(out: Path, *, at_least: int) -> None:
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        for path in out.glob("runs/*/steps.jsonl"):
            if path.read_text().count("\n") >= at_least:
                return
        time.sleep(0.005)
    raise AssertionError("the run did not get going")


def test_a_divergence_is_a_row_and_the_others_go_on(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = (
        "grid={cases: [{tuning: {kind: full}, training: {learning_rate: 1.0e+30}}, "
        "{tuning: {kind: head}}]}"
    )
    done = tunelab("run", small_recipe, cases, "training.epochs=1", "--out", out, "--quiet")
    assert done.returncode == 1
    found = manifests(out)
    assert (found["full"].status, found["head"].status) == ("diverged", "ok")
    assert "Lower training.learning_rate" in found["full"].message
    assert "diverged" in (out / "table.md").read_text()


@pytest.mark.slow
def test_a_full_disk_is_told_and_nothing_is_lost(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ["grid=null", "tuning={kind: full}", "training.epochs=1"]
    command = [sys.executable, "-m", "tunelab", "run", str(small_recipe), *settings]
    limited = subprocess.run(  # files may grow to 240 blocks of 1 KiB: too small for a checkpoint
        ["bash", "-c", f'ulimit -f 240; exec "$@" --out {out} --quiet', "limited", *command],
        capture_output=True,
        text=True,
        check=False,
        env=ONE_THREAD,
    )
    assert limited.returncode == 1
    (directory,) = find_runs(out)
    manifest = directory.read_manifest()
    assert manifest.status == "failed"
    assert "Could not write" in manifest.message
    assert "Free some space" in manifest.message
    assert "Traceback" not in limited.stderr
    steps = len(directory.read_steps())
    assert steps >= 1

    assert tunelab("run", small_recipe, *settings, "--out", out, "--quiet").returncode == 0
    assert directory.read_manifest().status == "ok"


def test_a_search_chooses_on_validation_with_the_same_trials_for_all(
    small_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = [
        "search={over: {training.learning_rate: [1.0e-5, 1.0e-2]}, trials: 2, epochs: 1}",
        "grid={tuning: [{kind: full}, {kind: head}]}",
    ]
    done = tunelab("run", small_recipe, *settings, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    tried = find_runs(out / "search")
    assert len(tried) == 4
    assert {d.read_manifest().label.split(",")[0] for d in tried} == {"full", "head"}
    for label, manifest in manifests(out).items():
        assert manifest.search is not None, label
        assert manifest.search["training.learning_rate"] in (1e-5, 1e-2)
    # a trial is measured on validation: none of its items is a test item
    tested = {row.id for row in find_runs(out)[0].read_predictions()}
    assert not tested & {row.id for d in tried for row in d.read_predictions()}


def test_two_processes_do_not_share_a_directory(small_recipe: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"process": 4242}))
        file.flush()
        second = tunelab("run", small_recipe, "--out", out)
    assert second.returncode == 2
    assert "in use by another tunelab" in second.stderr
    assert "4242" in second.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epoch=1", "Did you mean 'epochs'"),
        ("task.train=nowhere.json", "no data file"),
        ("model.path=./nowhere", "no checkpoint in"),
        ("grid={tuning: [{kind: lorra}]}", "lorra"),
        ("task.version=1.1", 'version is "1.1"'),
    ],
)
def test_wrong_usage_starts_nothing_and_shows_no_traceback(
    small_recipe: Path, tmp_path: Path, setting: str, message: str
) -> None:
    out = tmp_path / "out"
    wrong = tunelab("run", small_recipe, setting, "--out", out)
    assert wrong.returncode == 2
    assert message in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert not (out / "runs").exists()


@pytest.mark.slow
def test_a_recipe_in_a_run_directory_is_that_run(small_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ["grid=null", "tuning={kind: head}", "training.epochs=1"]
    assert tunelab("run", small_recipe, *settings, "--out", out, "--quiet").returncode == 0
    (directory,) = find_runs(out)
    again = read_recipe(directory.recipe)
    assert isinstance(again, Recipe)
    assert directory.path.name.endswith(directory.read_manifest().digest)
    assert tunelab("run", directory.recipe, "--out", out, "--quiet").returncode == 0
    assert find_runs(out) == [directory]
