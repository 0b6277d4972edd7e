"""Random tokens in pairs, to be looked up: the bare skill that reading is made of.

    k1 v1 k2 v2 k3 v3   k2 -> v2   k1 -> v1   k3 -> v3

Any token can be key or value, so what is learned holds for names that were never read.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.data.reading.draw import Draw
from tunelab.prompts.encoded import EncodedExample

_ROUNDS = 2
"""How often every pair is looked up."""


def pairs(draw: Draw, *, count: int, longest: int, ids: Sequence[int], bos: int) -> EncodedExample:
    """Pairs of up to `longest` tokens each side, then every key again; its values are targets."""
    used: set[int] = set()

    def some() -> list[int]:
        return [_unused(draw, ids, used) for _ in range(1 + draw.below(longest))]

    rows = [(some(), some()) for _ in range(count)]
    tokens = [bos, *(token for key, value in rows for token in (*key, *value))]
    targets = [False] * len(tokens)
    for _ in range(_ROUNDS):
        for key, value in draw.shuffled(rows):
            tokens += [*key, *value]
            targets += [False] * len(key) + [True] * len(value)
    return EncodedExample(tuple(tokens), tuple(targets))


def _unused(draw: Draw, ids: Sequence[int], used: set[int]) -> int:
    while (token := draw.pick(ids)) in used:
        pass
    used.add(token)
    return token
