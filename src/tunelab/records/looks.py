"""looks.json: how often a study that adds seeds has looked at its results, and at which of them.

It lies beside the runs of a study that was run with `--until-separable`. A report needs it to
judge by the same looks again, whatever runs came later.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from tunelab.errors import RecordError
from tunelab.records.contents import Record
from tunelab.records.files import write_atomically

LOOKS_FILE = "looks.json"
LOOKS_VERSION = 1


class Look(Record):
    """One look."""

    seeds: dict[str, tuple[int, ...]]
    """Label -> the seeds of its finished runs at that time: what was judged."""


class Looks(Record):
    """What was planned before the first look, and what has been done of it."""

    schema_version: int = LOOKS_VERSION
    alpha: float
    """Chance of calling any two identical methods different, over all looks together."""
    times: tuple[float, ...]
    """Of the looks planned: what is known at each, as a share of what is known at the last."""
    looks: tuple[Look, ...] = ()
    added: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """Label -> the seeds that were added to those of the recipe, finished or not."""
    stopped: str = ""
    """Why no seed was added any more."""


def read_looks(directory: Path) -> Looks | None:
    """The looks of an output directory; None where it has none.

    Raises:
        RecordError: the file is damaged or of another version.
    """
    path = directory / LOOKS_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        looks = Looks.model_validate(content) if version == LOOKS_VERSION else None
    except (OSError, ValueError, KeyError, TypeError) as error:  # pydantic's are ValueErrors
        raise RecordError(
            f"{path} cannot be read: {' '.join(str(error).split())}.",
            hint="It was damaged or edited. Without it the study counts as one that never looked "
            "before its end; its finished runs stay.",
        ) from error
    if looks is None:
        raise RecordError(
            f"{path} has schema version {version}; this tunelab reads version {LOOKS_VERSION}.",
            hint="Install the version of tunelab that wrote it.",
        )
    return looks


def write_looks(directory: Path, looks: Looks) -> None:
    """Write looks.json in one step."""
    write_atomically(directory / LOOKS_FILE, looks.model_dump_json(indent=2) + "\n")
