"""Many comparisons, and several looks at them: which p-values are small enough.

Holm's correction and the looks go together like this (Maurer and Bretz 2013, Statistics in
Biopharmaceutical Research 5(4)): while m pairs are open, the one with the smallest p-value is held
against the level that the look has if all looks together may err with the chance alpha / m; if it
is shown, m falls by one and the next is tried. What one look has shown stays shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunelab.statistics.looks import Schedule

Pair = tuple[str, str]
"""The names of two methods."""


@dataclass(frozen=True, slots=True)
class Decision:
    """On one pair."""

    shown: bool
    look: int
    """At which it was shown, or the last one; counted from 1."""
    level: float
    """What its p-value was held against at that look."""


def decide(
    looks: Sequence[Mapping[Pair, float]], *, schedule: Schedule, alpha: float
) -> dict[Pair, Decision]:
    """What so many looks show, all of them together erring with the chance `alpha` at most.

    Args:
        looks: the p-values of all pairs at each look; a pair may be missing at some.
        schedule: of the looks that were planned.
        alpha: chance of calling any two identical methods different.
    """
    decisions: dict[Pair, Decision] = {}
    for number, found in enumerate(looks, start=1):
        tested = decisions.keys() | found.keys()
        unshown = {pair for pair in tested if pair not in decisions or not decisions[pair].shown}
        holding = True
        for pair in sorted(unshown & found.keys(), key=lambda pair: (found[pair], pair)):
            level = schedule.level(number, alpha / len(unshown))
            holding = holding and found[pair] < level
            decisions[pair] = Decision(holding, number, level)
            if holding:
                unshown.remove(pair)
    return decisions


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the chance of any false finding (Holm 1979, Scand. J. Stat. 6).

    The k-th smallest of n is multiplied by n - k + 1, and none falls below a smaller one.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
