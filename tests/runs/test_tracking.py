"""Trackers mirror a run; they never end one, and the run directory stays the truth."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path

import pytest
from tests.command import tunelab
from tests.running import run_here
from tests.steps import step

from tunelab.errors import RecipeError
from tunelab.recipe import digest, read_recipe
from tunelab.records import RunDirectory
from tunelab.runs import tracking
from tunelab.runs.tracking import FOLDER, Mirror, check_trackers, flat

SETTINGS = ["grid=null", "tuning={kind: head}", "training.epochs=1"]
ABLATIONS = "evaluation.ablations=[question-only, shuffled-context]"


def test_a_missing_package_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"'track' names wandb.*not installed") as told:
        check_trackers(["wandb"])
    assert "pip install 'tunelab[track]'" in told.value.hint


def test_tracking_does_not_change_what_a_run_is(small_recipe: Path) -> None:
    plain = read_recipe(small_recipe, SETTINGS)
    assert digest(read_recipe(small_recipe, [*SETTINGS, "track=[wandb]"])) == digest(plain)
    assert digest(read_recipe(small_recipe, [*SETTINGS, ABLATIONS])) != digest(plain)


def test_settings_are_told_flat() -> None:
    tree = {"a": {"b": 1, "c": None, "d": [1, "x"]}, "e": True}
    assert flat(tree) == {"a.b": 1, "a.c": "none", "a.d": "[1, 'x']", "e": True}


def test_a_tracker_that_fails_is_a_note_and_the_others_go_on(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tracker:
        def __init__(self, good: bool) -> None:
            self.good, self.heard = good, list[int]()

        def start(self) -> None: ...

        def store_init_configuration(self, settings: dict[str, object]) -> None: ...

        def log(self, values: dict[str, float], step: int) -> None:
            if not self.good and step == 2:
                raise ConnectionError("the network is gone")
            self.heard.append(step)

        def finish(self) -> None: ...

    good, bad = Tracker(True), Tracker(False)
    made = iter([bad, good])
    monkeypatch.setattr(Mirror, "_make", lambda self, name: next(made))
    recipe = read_recipe(small_recipe, [*SETTINGS, "track=[trackio, tensorboard]"])
    told: list[str] = []
    mirror = Mirror(recipe, RunDirectory(tmp_path), say=told.append)
    mirror.start()
    for number in (1, 2, 3):
        mirror.step(step(number, loss=1.0 / number))
    mirror.finish()
    assert (bad.heard, good.heard) == ([1], [1, 2, 3])
    assert (
        mirror.notes
        == told
        == ["trackio stopped mirroring this run: ConnectionError: the network is gone"]
    )


def test_tensorboard_holds_what_the_run_directory_holds(small_recipe: Path, tmp_path: Path) -> None:
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra `track`"
    )
    settings = [*SETTINGS, "track=[tensorboard]", ABLATIONS]
    [directory] = run_here(small_recipe, tmp_path / "out", settings)
    notes = directory.read_manifest().notes
    assert not any("stopped mirroring" in note for note in notes), notes
    events = reading.EventAccumulator(str(directory.path / FOLDER / "tensorboard")).Reload()
    told = [(event.step, event.value) for event in events.Scalars("loss")]
    recorded = [(row.step, row.loss) for row in directory.read_steps()]
    assert [step for step, _ in told] == [step for step, _ in recorded]
    assert [loss for _, loss in told] == pytest.approx([loss for _, loss in recorded])
    scores = directory.read_scores()
    assert set(scores) == {
        "squad_v2",
        "squad_v2/question-only",
        "squad_v2/shuffled-context",
    }
    for task, figures in scores.items():
        [f1] = events.Scalars(f"{task}/f1")
        assert f1.value == pytest.approx(figures["f1"].value)


@pytest.mark.slow
def test_trackio_is_mirrored_without_a_network(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("trackio") is None:  # it reads its folder when it is imported
        pytest.skip("needs the extra `track`")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [directory] = run_here(small_recipe, tmp_path / "out", [*SETTINGS, "track=[trackio]"])
    recorded = [row.loss for row in directory.read_steps()]
    [database] = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select metrics from metrics order by step").fetchall()
    told = [row["loss"] for (text,) in rows if "loss" in (row := json.loads(text))]
    assert told == pytest.approx(recorded)


@pytest.mark.slow
def test_a_missing_tracker_starts_nothing(small_recipe: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed here")
    done = tunelab("run", small_recipe, "track=[wandb]", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install 'tunelab[track]'" in done.stderr
    assert not (tmp_path / "out" / "runs").exists()


@pytest.mark.slow
def test_wandb_is_mirrored_offline(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs the extra `track`")
    monkeypatch.setenv("WANDB_MODE", "offline")
    [directory] = run_here(small_recipe, tmp_path / "out", [*SETTINGS, "track=[wandb]"])
    [written] = directory.path.glob(f"{FOLDER}/wandb/offline-run-*/*.wandb")
    assert written.stat().st_size > 0
    assert not any("stopped mirroring" in note for note in directory.read_manifest().notes)
