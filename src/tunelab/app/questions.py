"""The questions that runs were tested on, to be drawn from; texts are read from its data."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from tunelab.app.catalogue import Entry
from tunelab.data import Example, load_sources, take_limit
from tunelab.data.sources import Version
from tunelab.errors import DataError, TunelabError
from tunelab.recipe import extractive


def random_question(entry: Entry, chance: random.Random) -> Example:
    """One of the questions that a run was tested on.

    Raises:
        TunelabError: its test data cannot be read, or it has none.
    """
    return chance.choice(questions_of(entry))


def questions_of(entry: Entry) -> tuple[Example, ...]:
    """All of them, as the run took them.

    Raises:
        TunelabError: its test data cannot be read, or it has none.
    """
    if entry.run is None:
        raise DataError(
            f"'{entry.name}' is a checkpoint: it was tested on nothing.",
            hint="Write a paragraph and a question of your own.",
        )
    task = extractive(entry.recipe.task)
    return _questions(task.test, task.version, task.test_limit)


@lru_cache(maxsize=4)
def _questions(
    sources: tuple[str, ...], version: Version, limit: int | None
) -> tuple[Example, ...]:
    return tuple(take_limit(load_sources(sources, part="test", version=version), limit))


def held_out_paragraphs(entries: Sequence[Entry]) -> frozenset[str]:
    """The groups of all paragraphs that any of these runs was tested on, as far as can be read."""
    found: set[str] = set()
    for entry in entries:
        with suppress(TunelabError):
            found |= {example.group for example in questions_of(entry)}
    return frozenset(found)
