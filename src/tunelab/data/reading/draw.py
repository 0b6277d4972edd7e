"""Chance that is the same on every machine: draws that depend on a string alone.

`random.Random` keeps its promise for seeds that are strings and for `random()`, but not for
`choice`, `shuffle` and `sample`, which have changed between Python versions. Here everything is
made of `random()`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of draws, fixed by `seed`."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a random order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in items]


def held_out(word: str) -> bool:
    """Whether a word is kept for the splits with new names: one in four, by a hash of the word."""
    return hashlib.sha256(word.encode()).digest()[0] < 64
