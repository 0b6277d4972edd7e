"""Figures that were asked for, beside what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.spread import spread


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure."""

    what: str
    found: str
    """With its unit, and its range where it was measured more than once."""
    asked: str
    """"-" where nothing was asked."""
    reached: bool
    same: str = ""
    """Whether both sides of a comparison did the same work: "yes", "NO"; "" where one side is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part of the benchmarks found."""

    table: str
    """In markdown."""
    held: bool
    """Whether every comparison compared the same work."""
    goals: Sequence[Goal]


def at_least(what: str, ratios: Sequence[float], asked: float | None, *, same: bool) -> Goal:
    """Times the speed of another way, the median of blocks; void if the work was not the same."""
    median = statistics.median(ratios)
    return Goal(
        what,
        f"{spread(ratios, 2)} times" if same else "void",
        "-" if asked is None else f">= {asked:g}",
        same and (asked is None or median >= asked),
        "yes" if same else "NO",
    )


def at_most(what: str, found: Sequence[float], asked: float, unit: str, digits: int = 2) -> Goal:
    """Seconds or bytes, the median of what was measured."""
    told = spread(found, digits) if len(found) > 1 else f"{found[0]:.{digits}f}"
    return Goal(what, f"{told} {unit}", f"< {asked:g} {unit}", statistics.median(found) < asked)


def overview(goals: Sequence[Goal]) -> str:
    """All of them, in markdown."""
    lines = [
        "| figure | measured | asked | reached | same work |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {goal.what} | {goal.found} | {goal.asked} | {_reached(goal)} | {goal.same} |"
        for goal in goals
    ]
    return "\n".join(lines)


def _reached(goal: Goal) -> str:
    if goal.asked == "-":
        return "-"
    return "yes" if goal.reached else "**no**"
