"""Several processes for one run: who is refused, who is missed, and what comes of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.command import tunelab

from tunelab.errors import DataError, TuningError, UsageError
from tunelab.recipe import Recipe, validate
from tunelab.records import Manifest, RunDirectory
from tunelab.runs import crew
from tunelab.runs.crew import Attended, Member, attend
from tunelab.runs.team import take_launch
from tunelab.runs.together import Asked, executor_of, refuse_more_than
from tunelab.training.devices import refuse_difference
from tunelab.training.sharding import check_sharding


def recipe(**changes: Any) -> Recipe:
    return validate({"task": {"train": "reading", "test": "reading"}, **changes}, source="test")


def test_more_processes_than_devices_are_refused_with_what_is_there() -> None:
    refuse_more_than((2, "cores"), 2)
    with pytest.raises(UsageError, match="3 processes need 3 devices, and there are 2 cores here"):
        refuse_more_than((2, "cores"), 3)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({"tuning": {"kind": "prefix"}}, "FSDP cannot wrap tuning.kind=prefix"),
        ({"tuning": {"kind": "adalora"}}, "FSDP cannot wrap tuning.kind=adalora"),
        ({"model": {"quantize": "nf4"}}, "FSDP cannot cut a base with model.quantize=nf4"),
        ({"training": {"optimizer": "adamw-8bit"}}, "does not go with FSDP"),
    ],
)
def test_what_fsdp_cannot_wrap_is_refused(changes: dict[str, Any], met: str) -> None:
    with pytest.raises(TuningError, match=met) as refused:
        check_sharding(recipe(**changes))
    assert "--sharding ddp" in refused.value.hint


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        (Asked(sharding="fsdp"), "shares a model among several processes, and there is one"),
        (Asked(address="auto"), "--executor is local"),
        (Asked(processes=2, executor="ray"), "every run is one process"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    asked: Asked, met: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(UsageError, match=met),
        executor_of(recipe(), tmp_path, asked, quiet=True),
    ):
        pass


def test_processes_for_each_process_of_a_launcher_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(UsageError, match="A launcher has started 2 processes already"),
        executor_of(recipe(), tmp_path, Asked(processes=2), quiet=True),
    ):
        pass
    assert "RANK" not in os.environ, "runs in one process would take themselves for one of two"


LAUNCHED = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}


def test_a_launcher_is_known_by_what_it_leaves() -> None:
    environment = LAUNCHED | {"HOME": "/"}
    launch = take_launch(environment)
    assert launch is not None
    assert (launch.rank, launch.size, launch.port, launch.store_is_there) == (1, 2, 29500, True)
    assert environment == {"HOME": "/"}
    assert take_launch({}) is None
    assert take_launch(LAUNCHED | {"RANK": "0", "WORLD_SIZE": "1"}) is None


def test_processes_with_other_data_are_refused() -> None:
    refuse_difference(["a", "a"])
    with pytest.raises(DataError, match="Process 1 read other data"):
        refuse_difference(["a", "b"])


def attended(folder: Path, *acts: Callable[[], None]) -> tuple[Attended, list[int | None]]:
    context = multiprocessing.get_context("fork")
    members = [
        Member(context.Process(target=act), rank, RunDirectory(folder / str(rank)))
        for rank, act in enumerate(acts)
    ]
    return attend(members, elsewhere=lambda: None), [each.process.exitcode for each in members]


def wait_for_ever() -> None:
    time.sleep(60)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_who_waits_for_a_process_that_is_gone_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SECONDS_TO_NOTICE", 0.1)
    found, codes = attended(tmp_path, wait_for_ever, killed)
    assert found.loss is not None
    assert (found.loss.rank, found.loss.status) == (1, "out_of_memory")
    assert codes == [-signal.SIGKILL, -signal.SIGKILL]


def test_a_process_tells_what_went_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SECONDS_TO_NOTICE", 0.1)

    def out_of_memory() -> None:
        told = Manifest(label="", digest="", status="out_of_memory", message="Memory ran out.")
        RunDirectory(tmp_path / "1").write_manifest(told)
        sys.exit(1)

    found, _ = attended(tmp_path, wait_for_ever, out_of_memory)
    assert found.loss is not None
    assert (found.loss.status, found.loss.message) == ("out_of_memory", "Memory ran out.")


def test_when_the_first_process_is_gone_nobody_else_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SECONDS_TO_LEAVE", 0.1)

    def gives_up() -> None:
        time.sleep(0.05)
        sys.exit(1)

    assert attended(tmp_path, killed, gives_up)[0].loss is None
    assert attended(tmp_path, lambda: None, wait_for_ever)[0].loss is None


@pytest.mark.slow
def test_the_command_line_says_what_is_there(small_recipe: Path, tmp_path: Path) -> None:
    told = tunelab("run", small_recipe, "--out", tmp_path / "out", "--processes", "4096")
    assert told.returncode == 2
    assert "4096 processes need 4096 devices" in told.stderr
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "out").exists()
