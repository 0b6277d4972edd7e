"""A run's data as its model sees them: target tokens in colour, lengths, what the doctor finds."""

from __future__ import annotations

import threading

from tunelab.app.catalogue import Entry
from tunelab.app.rendering import render
from tunelab.doctor.examination import examine, sight_key
from tunelab.doctor.sights import Examination
from tunelab.recipe import extractive
from tunelab.records import Proof

SHOWN = 4
"""Training questions that are laid open."""


class Looks:
    """What the doctor saw, kept: runs of one study mostly see the same."""

    def __init__(self) -> None:
        self._seen: dict[str, Examination] = {}
        self._lock = threading.Lock()

    def html(self, entry: Entry) -> str:
        """The data of a run.

        Raises:
            TunelabError: they cannot be read, or the run is of another kind.
        """
        recipe = entry.recipe
        extractive(recipe.task)
        key = sight_key(recipe)
        with self._lock:
            if key not in self._seen:
                self._seen[key] = examine([recipe], shown=SHOWN, prove=False)
            seen = self._seen[key]
        return render("data", {"name": entry.name, "examination": seen, "proofs": _proofs(entry)})


def _proofs(entry: Entry) -> tuple[Proof, ...]:
    """What the run itself proved."""
    return entry.run.read_manifest().proofs if entry.run is not None else ()
