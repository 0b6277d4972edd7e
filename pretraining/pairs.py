"""Random tokens in pairs, to be looked up: the bare skill that reading is made of.

    k1 v1 k2 v2 k3 v3   k2 -> v2   k1 -> v1   k3 -> v3

Nothing but the key tells the values apart, so this is where matching begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.data.reading.draw import Draw
from tunelab.prompts.encoded import EncodedExample

_ROUNDS = 2
"""How often every pair is looked up."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """So many pairs, of tokens among the first so many of the vocabulary."""

    count: int
    among: int


def look_up(draw: Draw, level: Pairs, *, ids: Sequence[int], bos: int) -> EncodedExample:
    """The pairs, then every key again; its values are targets.

    Args:
        ids: the vocabulary without special tokens.
    """
    ids = ids[: level.among]
    used: set[int] = set()

    rows = [(_unused(draw, ids, used), _unused(draw, ids, used)) for _ in range(level.count)]
    tokens = [bos, *(token for row in rows for token in row)]
    targets = [False] * len(tokens)
    for _ in range(_ROUNDS):
        for key, value in draw.shuffled(rows):
            tokens += [key, value]
            targets += [False, True]
    return EncodedExample(tuple(tokens), tuple(targets))


def _unused(draw: Draw, ids: Sequence[int], used: set[int]) -> int:
    while (token := draw.pick(ids)) in used:
        pass
    used.add(token)
    return token
