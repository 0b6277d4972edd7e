"""The page of the benchmarks: goals first, parts kept, failures told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from benchmarks.goals import Goal, Outcome, at_least, at_most
from benchmarks.page import Part, conditions, kept, page

COMMAND = "python -m benchmarks --part speed"


@pytest.fixture
def part() -> Part:
    goals = [
        at_least("training", [2.5, 3.0, 2.0], 2, same=True),
        at_least("answering", [9.0, 9.5], 10, same=True),
        at_least("scoring", [90.0], 10, same=False),
        at_least("reading", [1.5], None, same=True),
        at_most("loading", [0.4], 0.5, "s"),
    ]
    return Part("speed", "How fast it is.", COMMAND, conditions(), Outcome("| a |", True, goals))


def test_what_was_not_the_same_work_reaches_no_goal(part: Part) -> None:
    reached = {goal.what: goal.reached for goal in part.outcome.goals}
    assert reached == {
        "training": True,
        "answering": False,
        "scoring": False,
        "reading": True,
        "loading": True,
    }
    scoring = next(goal for goal in part.outcome.goals if goal.what == "scoring")
    assert (scoring.found, scoring.same) == ("void", "NO")


def test_the_page_counts_only_what_was_asked_for(part: Part) -> None:
    told = page([part], {})
    assert "2 of 4 figures are what was asked for." in told
    assert "| training | 2.50 (2.00 to 3.00) times | >= 2 | yes | yes |" in told
    assert "| answering | 9.25 (9.00 to 9.50) times | >= 10 | **no** | yes |" in told
    assert "| reading | 1.50 (1.50 to 1.50) times | - | - | yes |" in told
    assert COMMAND in told and part.conditions.hardware in told


def test_a_failed_part_is_told(part: Part) -> None:
    told = page([part], {"devices": "MissingExtra: Ray is not installed"})
    assert "**Not measured: devices.** MissingExtra: Ray is not installed" in told
    assert "**Not measured: devices.**" in page([], {"devices": "OSError: no disk"})


def test_a_kept_part_is_read_back_as_it_was(part: Part, tmp_path: Path) -> None:
    part.write(tmp_path)
    assert kept(tmp_path, "speed", COMMAND) == part


def test_what_was_measured_otherwise_is_not_taken(part: Part, tmp_path: Path) -> None:
    assert kept(None, "speed", COMMAND) is None
    assert kept(tmp_path, "speed", COMMAND) is None
    part.write(tmp_path)
    assert kept(tmp_path, "speed", f"{COMMAND} --blocks 2") is None
    assert kept(tmp_path, "speed", COMMAND) == part
    for other in ({"hardware": "another machine"}, {"code": "other modules"}):
        elsewhere = dataclasses.replace(part.conditions, **other)
        dataclasses.replace(part, conditions=elsewhere).write(tmp_path)
        assert kept(tmp_path, "speed", COMMAND) is None


def test_a_goal_without_a_request_counts_for_nothing() -> None:
    goal = Goal("precision", "1.13 times", "-", True)
    told = page([Part("p", "What.", COMMAND, conditions(), Outcome("", True, [goal]))], {})
    assert "| precision | 1.13 times | - | - |" in told
    assert "asked for" not in told
