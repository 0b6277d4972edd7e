"""Runs on the nodes of a Ray cluster: nothing is lost, nothing is there twice."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.runs.outcome import differences

from tunelab import __version__
from tunelab.errors import UsageError
from tunelab.recipe import Recipe, read_recipe
from tunelab.records import Manifest, RunDirectory, find_runs
from tunelab.report import write_report
from tunelab.runs import ray_task
from tunelab.runs.experiment import run_experiment
from tunelab.runs.marks import Mark, marked, sees
from tunelab.runs.parcels import pack, unpack
from tunelab.runs.process import Workers
from tunelab.runs.ray_task import Order, do
from tunelab.runs.sharing import Shared

import_module("tunelab.runs.execute")  # once, before runs are forked


def test_a_parcel_arrives_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    run = tmp_path / "there" / "full-seed0-00000000"
    (run / "adapter").mkdir(parents=True)
    (run / "adapter" / "weights").write_bytes(b"\x00\x01")
    (run / ".lock").touch()
    old = tmp_path / "here" / run.name
    old.mkdir(parents=True)
    (old / "stale").touch()
    unpack(pack(run), tmp_path / "here")
    assert (old / "adapter" / "weights").read_bytes() == b"\x00\x01"
    assert sorted(path.name for path in old.iterdir()) == ["adapter"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == [run.name]


def test_another_directory_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    with marked(tmp_path) as mark:
        assert sees(mark)
        assert not sees(Mark(tmp_path / "other", mark.word))
        mark.path.write_text("another study's")
        assert not sees(mark)
    assert not mark.path.exists()


def test_whoever_marks_a_directory_that_is_in_use_takes_no_mark_away(tmp_path: Path) -> None:
    with marked(tmp_path) as first:
        with marked(tmp_path) as second:
            assert sees(first) and sees(second)
        assert sees(first)
    assert not list(tmp_path.iterdir())


class Instead:
    """Does no run, but leaves what one leaves."""

    def __init__(self) -> None:
        self.places: list[Path] = []
        self.shared: list[Shared] = []

    def run(
        self, _recipe: Recipe, label: str, directory: RunDirectory, *, quiet: bool, shared: Shared
    ) -> Manifest:
        assert quiet
        self.places.append(directory.path)
        self.shared.append(shared)
        manifest = Manifest(label=label, digest="", status="ok")
        directory.write_manifest(manifest)
        return manifest


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Instead:
    found = Instead()
    monkeypatch.setattr(ray_task, "_workers", lambda: found)
    return found


def order(out: Path, mark: Mark, *, version: str = __version__) -> Order:
    directory = out / "runs" / "full-seed0-00000000"
    return Order(Recipe(), "full", directory, out / "tokens", mark, version)


def test_a_node_that_sees_the_study_works_in_it(tmp_path: Path, instead: Instead) -> None:
    with marked(tmp_path) as mark:
        asked = order(tmp_path, mark)
        assert do(asked, None, list).parcel is None
    assert instead.places == [asked.directory]
    assert instead.shared == [Shared(None, tmp_path / "tokens")]


def test_a_node_that_does_not_see_the_study_sends_its_run_back(
    tmp_path: Path, instead: Instead
) -> None:
    asked = order(tmp_path / "study", Mark(tmp_path / "study" / ".mark", "word"))
    asked.directory.mkdir(parents=True)
    (asked.directory / "steps.jsonl").write_text("before\n")
    done = do(asked, None, lambda: [pack(asked.directory)])
    assert done.parcel is not None
    [place] = instead.places
    assert not place.exists()
    shutil.rmtree(asked.directory)
    unpack(done.parcel, asked.directory.parent)
    assert RunDirectory(asked.directory).read_manifest().status == "ok"
    assert (asked.directory / "steps.jsonl").read_text() == "before\n"


@pytest.mark.usefixtures("instead")
def test_a_node_with_another_version_is_refused(tmp_path: Path) -> None:
    with marked(tmp_path) as mark, pytest.raises(UsageError, match=r"has tunelab .* made with 9"):
        do(order(tmp_path, mark, version="9"), None, list)


@pytest.fixture
def path(small_data: Path, small_encoder: Path, tmp_path: Path) -> Path:
    """Four runs of some seconds each."""
    content: dict[str, Any] = {
        "name": "cluster",
        "task": {
            "version": "2.0",
            "train": str(small_data / "train.json"),
            "test": str(small_data / "test.json"),
            "validation": 0.1,
        },
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40, "dropout": 0.0},
        "training": {"epochs": 6, "batch_size": 8, "checkpoint_steps": 5, "select": "last"},
        "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}], "seed": [0, 1]},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that does no runs; no dashboard, little memory."""
    utils = pytest.importorskip("ray.cluster_utils", reason="the extra `ray` is not installed")
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    found = utils.Cluster(initialize_head=True, head_node_args=head)
    yield found
    found.shutdown()


@pytest.mark.slow
def test_a_node_that_is_killed_in_the_middle_costs_nothing(
    path: Path, tmp_path: Path, cluster: Any
) -> None:
    from tunelab.runs.ray_cluster import ray_cluster

    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    recipe, out, alone = read_recipe(path), tmp_path / "out", tmp_path / "alone"
    run_experiment(recipe, alone, quiet=True, workers=Workers("fork"))  # before threads are there
    killed: list[set[str]] = []

    def kill_one() -> None:
        """As soon as two runs have a checkpoint, so that each node is in the middle of one."""
        while len({mark.parents[2] for mark in out.rglob("complete.json")}) < 2:
            time.sleep(0.05)
        killed.append({run.parents[0].name for run in out.rglob("checkpoints")})
        cluster.remove_node(nodes[0], allow_graceful=False)
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    with ray_cluster(cluster.address, out, say=lambda _: None) as workers:
        done = run_experiment(recipe, out, quiet=True, workers=workers)
    watcher.join()
    assert len(killed[0]) == 2, "both nodes were at work"
    assert [manifest.status for manifest in done] == ["ok"] * 4
    assert len(find_runs(out)) == 4
    assert differences(alone, out) == []
    report = write_report(out, {})
    assert [row.status for row in report.rows] == ["2 of 2", "2 of 2"]
    assert not report.problems
