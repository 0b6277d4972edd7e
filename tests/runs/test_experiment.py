"""What of a grid is done, and what is not, told from files alone. Nothing is trained here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.steps import step

from tunelab.errors import DataError, VersionError
from tunelab.recipe import Recipe, digest, setting, validate
from tunelab.records import (
    Cost,
    Manifest,
    RunDirectory,
    Score,
    Status,
    append_line,
    find_runs,
    write_atomically,
)
from tunelab.runs.examples import describe
from tunelab.runs.experiment import run_experiment
from tunelab.runs.process import Workers
from tunelab.runs.sharing import NOTHING_SHARED, Shared

PATH = "training.learning_rate"
TOO_HIGH = 1.0


class Untrained(Workers):
    """Leaves what a run leaves, without training: the score is the learning rate.

    A rate of 1 diverges.
    """

    def __init__(self) -> None:
        self.started: list[Recipe] = []

    def run(
        self,
        recipe: Recipe,
        label: str,
        directory: RunDirectory,
        *,
        quiet: bool,
        shared: Shared = NOTHING_SHARED,
    ) -> Manifest:
        assert shared.data is not None
        assert len(shared.data.train) == (recipe.task.train_limit or 57)
        self.started.append(recipe)
        diverged = setting(recipe, PATH) >= TOO_HIGH
        write_atomically(directory.steps, "")
        examples = recipe.task.train_limit or 0
        append_line(directory.steps, step(1, seconds=2.0, examples=examples))
        score = Score(value=setting(recipe, PATH), low=None, high=None, count=1, convention="")
        directory.write_scores({"squad_v2": {"f1": score}})
        directory.write_predictions([])
        status: Status = "diverged" if diverged else "ok"
        manifest = Manifest(
            label=label,
            digest=digest(recipe),
            status=status,
            message="too fast" if diverged else "",
            cost=None if diverged else _cost(),
            files={} if diverged else directory.file_records(),
            data=describe(shared.data),
        )
        directory.write_manifest(manifest)
        return manifest

    def took(self) -> list[tuple[str, float, int | None, int]]:
        """Kind, rate, questions and seed of what was started since the last call."""
        told = [
            (run.tuning.kind, setting(run, PATH), run.task.train_limit, run.seed)
            for run in self.started
        ]
        self.started.clear()
        return told


def _cost() -> Cost:
    return Cost(
        seconds_training=3.0,
        seconds_evaluation=1.0,
        peak_memory_bytes=None,
        trained_parameters=1,
        total_parameters=1,
        saved_bytes=0,
        tokens_per_second=None,
    )


@pytest.fixture
def workers() -> Untrained:
    return Untrained()


@pytest.fixture
def recipe(small_data: Path, small_encoder: Path) -> dict[str, Any]:
    return {
        "task": {"train": str(small_data / "train.json"), "test": str(small_data / "test.json")},
        "model": {"path": str(small_encoder)},
        "tuning": {"kind": "full"},
    }


def run(raw: dict[str, Any], out: Path, workers: Untrained) -> list[Manifest]:
    return run_experiment(validate(raw, source="test"), out, quiet=True, workers=workers)


def searched(**changes: Any) -> dict[str, Any]:
    rates = [1e-4, 1e-3, 1e-2, 1e-5]
    return {"over": {PATH: rates}, "trials": 4, "train_limit": 16, "epochs": 1, **changes}


def test_a_grid_that_grows_keeps_what_is_done_under_its_new_labels(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    run(recipe | {"task": recipe["task"] | {"train_limit": 8}}, tmp_path, workers)
    assert workers.took() == [("full", 1e-4, 8, 0)]
    done = run(recipe | {"grid": {"task.train_limit": [8, 16]}}, tmp_path, workers)
    assert workers.took() == [("full", 1e-4, 16, 0)]
    assert [manifest.label for manifest in done] == ["full,train_limit=8", "full,train_limit=16"]
    assert run(recipe | {"grid": {"task.train_limit": [8, 16]}}, tmp_path, workers) == done
    assert workers.took() == []


@pytest.mark.parametrize("name", ["manifest.json", "predictions.jsonl", "scores.json"])
def test_a_damaged_run_is_done_again_and_the_others_are_kept(
    recipe: dict[str, Any],
    tmp_path: Path,
    workers: Untrained,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    raw = recipe | {"grid": {"seed": [0, 1]}}
    run(raw, tmp_path, workers)
    workers.took()
    [damaged] = (tmp_path / "runs").glob("full-seed1-*")
    (damaged / name).write_bytes(b"{")
    run_experiment(validate(raw, source="test"), tmp_path, workers=workers)
    assert workers.took() == [("full", 1e-4, None, 1)]
    [line] = [row for row in capfd.readouterr().err.splitlines() if "is done again" in row]
    assert name in line


def test_a_directory_that_nobody_asked_for_never_blocks(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    for name in ("full-seed0-00000000", "retired", "old.tar"):
        (tmp_path / "runs" / name / "checkpoints").mkdir(parents=True)
        (tmp_path / "runs" / name / "manifest.json").write_bytes(b"\xff")
    assert [manifest.status for manifest in run(recipe, tmp_path, workers)] == ["ok"]


def test_the_work_of_a_later_version_is_not_written_over(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    run(recipe, tmp_path, workers)
    [directory] = find_runs(tmp_path)
    later = json.dumps({"schema_version": 99})
    directory.manifest.write_text(later)
    with pytest.raises(VersionError):
        run(recipe, tmp_path, workers)
    assert directory.manifest.read_text() == later


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_run_on_other_data_is_neither_kept_nor_written_over(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained, part: str
) -> None:
    data = tmp_path / f"{part}.json"
    data.write_bytes(Path(recipe["task"][part]).read_bytes())
    raw = recipe | {"task": recipe["task"] | {part: str(data)}, "grid": {"seed": [0, 1]}}
    out = tmp_path / "out"
    run(raw, out, workers)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    workers.took()
    document = json.loads(data.read_bytes())
    document["data"][-1]["paragraphs"][-1]["qas"][-1]["question"] += " Is it known?"
    data.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"full-seed0-.*other data.* 1 more") as told:
        run(raw | {"name": "more"}, out, workers)
    assert workers.took() == []
    assert all(path.read_bytes() == content for path, content in before.items())
    [first, second] = find_runs(out)
    assert f"rm -r {first.path}" in told.value.hint and "--out" in told.value.hint
    for place in (first, second):
        shutil.rmtree(place.path)
    assert [manifest.status for manifest in run(raw, out, workers)] == ["ok", "ok"]


def test_what_diverged_would_again_and_what_failed_may_not(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    raw = recipe | {"training": {"learning_rate": TOO_HIGH}}
    assert [manifest.status for manifest in run(raw, tmp_path, workers)] == ["diverged"]
    workers.took()
    [done] = run(raw, tmp_path, workers)
    assert (done.status, workers.took()) == ("diverged", [])
    [directory] = find_runs(tmp_path)
    directory.write_manifest(done.model_copy(update={"status": "failed"}))
    run(raw, tmp_path, workers)
    assert len(workers.took()) == 1


def test_a_search_tells_what_it_took_and_its_seeds_share_it(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    raw = recipe | {"search": searched(), "grid": {"seed": [0, 1]}, "price_per_hour": 900}
    done = run(raw, tmp_path, workers)
    assert [row[1:] for row in workers.took()] == [
        (1e-4, 16, 0),
        (1e-3, 16, 0),
        (1e-2, 16, 0),
        (1e-5, 16, 0),
        (1e-2, None, 0),
        (1e-2, None, 1),
    ]
    for manifest in done:
        assert manifest.search == {PATH: 1e-2}
        cost = manifest.search_cost
        assert cost is not None
        assert (cost.trials, cost.examples, cost.seconds, cost.price) == (4, 64, 16.0, 4.0)


def test_halving_lets_the_best_go_on_with_more_questions(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    tunings = [{"kind": "full"}, {"kind": "head"}]
    raw = recipe | {"search": searched(halving=2), "grid": {"tuning": tunings}}
    done = run(raw, tmp_path, workers)
    took = workers.took()
    for kind in ("full", "head"):
        assert [(rate, limit) for each, rate, limit, _ in took if each == kind] == [
            *((rate, 8) for rate in (1e-4, 1e-3, 1e-2, 1e-5)),
            *((rate, 16) for rate in (1e-2, 1e-3)),  # the better half
            (1e-2, None),
        ]
    costs = [manifest.search_cost for manifest in done]
    assert all(cost and (cost.trials, cost.examples) == (6, 64) for cost in costs)


def test_a_method_that_no_settings_suit_is_a_row_and_the_others_go_on(
    recipe: dict[str, Any], tmp_path: Path, workers: Untrained
) -> None:
    hopeless = {"tuning": {"kind": "full"}, "search": {"over": {PATH: [TOO_HIGH, 2.0]}}}
    raw = recipe | {
        "search": searched(over={PATH: [1e-4, TOO_HIGH]}, trials=2),
        "grid": {"cases": [hopeless, {"tuning": {"kind": "head"}}]},
    }
    full, head = run(raw, tmp_path, workers)
    assert (full.status, head.status) == ("failed", "ok")
    assert full.message == ("No trial of the search succeeded; the last one: diverged: too fast")
    assert full.search_cost is not None
    assert (full.search_cost.trials, full.search_cost.seconds) == (2, 4.0)
    assert (head.search, head.search_cost and head.search_cost.seconds) == ({PATH: 1e-4}, 6.0)
    # once there are settings that suit, nothing is left of the row without any
    mended = {"tuning": {"kind": "full"}, "search": {"over": {PATH: [TOO_HIGH, 1e-3]}}}
    run(raw | {"grid": {"cases": [mended, {"tuning": {"kind": "head"}}]}}, tmp_path, workers)
    assert {d.read_manifest().status for d in find_runs(tmp_path)} == {"ok"}
