"""A piece of general text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that is read as it is; what the next one says hangs on nothing in it."""

    id: str
    text: str
    group: str
