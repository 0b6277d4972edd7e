"""What the runs of a grid need not each make for themselves.

Examples are read and checked once, in the process that starts the runs, and handed to each; tokens
lie in a folder. Base weights are shared by the system: files that were read once stay in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunelab.data import Example, TaskData
from tunelab.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Shared:
    """What a run is given; without it the run makes it for itself."""

    data: TaskData[Example] | None = None
    """The examples of its task, where they are questions on paragraphs."""
    tokens: Path | None = None
    """Where tokenised examples lie, or are left for the next run."""


Share = Callable[[Recipe], Shared]
"""What a run is given."""

NOTHING_SHARED = Shared()
"""For a run by itself."""
