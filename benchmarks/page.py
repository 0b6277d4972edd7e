"""The page that `make bench` prints, and parts of it that are kept between its goes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

import benchmarks
import tunelab
from benchmarks.goals import Goal, Outcome, overview
from tunelab.records import write_atomically
from tunelab.runs.environment import hardware, versions


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a part was measured."""

    hardware: str
    versions: str
    code: str
    """SHA-256 of all modules, in short."""
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
        code_digest(),
        datetime.now(UTC).date().isoformat(),
        os.getloadavg()[0],
    )


def kept(folder: Path | None, name: str, command: str) -> Part | None:
    """What was measured earlier by the same command, code, hardware and versions."""
    if folder is None or not _place(folder, name).exists():
        return None
    found = json.loads(_place(folder, name).read_text(encoding="utf-8"))
    if found["conditions"].get("code") != code_digest():
        return None
    outcome = found.pop("outcome")
    goals = [Goal(**goal) for goal in outcome.pop("goals")]
    under = Conditions(**found.pop("conditions"))
    part = Part(**found, conditions=under, outcome=Outcome(**outcome, goals=goals))
    now = replace(conditions(), day=under.day, load=under.load)
    return part if (part.command, under) == (command, now) else None


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


@cache
def code_digest() -> str:
    """Of tunelab and its benchmarks: figures of other code are not these."""
    digest = hashlib.sha256()
    for package in (tunelab, benchmarks):
        folder = Path(package.__path__[0])
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _place(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
