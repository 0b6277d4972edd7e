"""The page that `make bench` prints, and parts of it that are kept between its goes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.goals import Goal, Outcome, overview
from tunelab.records import write_atomically
from tunelab.runs.environment import hardware, versions


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a part was measured."""

    hardware: str
    versions: str
    day: str
    load: float
    """Of the machine before the start: a busy one makes the figures noise."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part, measured."""

    name: str
    about: str
    command: str
    conditions: Conditions
    outcome: Outcome

    def write(self, folder: Path) -> None:
        """Keep it for a later go."""
        write_atomically(_place(folder, self.name), json.dumps(asdict(self), indent=1))


def conditions() -> Conditions:
    """Those of now."""
    return Conditions(
        f"{', '.join(hardware().values())}, {torch.get_num_threads()} threads",
        ", ".join(f"{name} {found}" for name, found in versions().items()),
        datetime.now(UTC).date().isoformat(),
        os.getloadavg()[0],
    )


def kept(folder: Path | None, name: str, command: str) -> Part | None:
    """What was measured earlier by the same command with the same hardware and versions."""
    if folder is None or not _place(folder, name).exists():
        return None
    found = json.loads(_place(folder, name).read_text(encoding="utf-8"))
    outcome = found.pop("outcome")
    goals = [Goal(**goal) for goal in outcome.pop("goals")]
    under = Conditions(**found.pop("conditions"))
    part = Part(**found, conditions=under, outcome=Outcome(**outcome, goals=goals))
    now = conditions()
    same = (part.command, under.hardware, under.versions) == (command, now.hardware, now.versions)
    return part if same else None


def page(parts: Sequence[Part], failed: Mapping[str, str]) -> str:
    """All parts in markdown, their goals first.

    Args:
        failed: part -> why it could not be measured.
    """
    goals = [goal for part in parts for goal in part.outcome.goals]
    lines = ["# Benchmarks"]
    if parts:
        [first, *_] = parts
        lines += [
            "",
            f"Hardware: {first.conditions.hardware}",
            "",
            f"Versions: {first.conditions.versions}",
        ]
    if goals:
        reached = sum(goal.reached for goal in goals if goal.asked != "-")
        asked = sum(goal.asked != "-" for goal in goals)
        if asked:
            lines += ["", f"{reached} of {asked} figures are what was asked for."]
        lines += ["", overview(goals)]
    lines += [f"\n**Not measured: {name}.** {why}" for name, why in failed.items()]
    for part in parts:
        lines += [
            "",
            f"## {part.name}",
            "",
            f"{part.about} `{part.command}`, {part.conditions.day}, load "
            f"{part.conditions.load:.1f} before the start.",
            "",
            part.outcome.table,
        ]
    return "\n".join(lines)


def _place(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
