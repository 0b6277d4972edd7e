"""Whether two machines see the same directory, and not two of the same name: by a word in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunelab.records import write_atomically


@dataclass(frozen=True, slots=True)
class Mark:
    """A file, and the word that was written into it just now."""

    path: Path
    word: str


@contextmanager
def marked(directory: Path) -> Iterator[Mark]:
    """A directory with a mark in it, for a while.

    Of its own name: whoever marks the same directory, and then finds that it is in use, takes
    nobody else's away.
    """
    word = secrets.token_hex(16)
    mark = Mark(directory.resolve() / f".mark-{word}", word)
    write_atomically(mark.path, mark.word)
    try:
        yield mark
    finally:
        mark.path.unlink(missing_ok=True)


def sees(mark: Mark) -> bool:
    """Whether this machine sees the marked directory."""
    with suppress(OSError, UnicodeDecodeError):
        return mark.path.read_text(encoding="utf-8") == mark.word
    return False
