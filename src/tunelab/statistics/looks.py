"""How a study may look at its results several times and still err in 5 of 100 cases.

Every look spends a part of the error: after a share t of what a study can learn at most, the sum
spent is alpha ln(1 + (e - 1) t), the spending function of Lan and DeMets (1983, Biometrika 70(3))
that resembles Pocock's equal looks. It is spent evenly rather than late, because a further seed is
dear and the paragraphs, the larger part of what is learnt, are all there at the first look.

The level of each look follows from what the earlier ones spent, if looks correlate as sums of
independent increments do (Armitage, McPherson and Rowe 1969, JRSS A 132(2)). Looks of a study that
adds seeds share their paragraphs, so they correlate more; then the levels err on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tunelab.statistics.variance import Floats

_NODES = 100
"""Of the integration over the earlier looks; twice as many change no level."""

_FAR = 40.0
"""Standard deviations that nothing exceeds."""

_HALVINGS = 60
"""Of the interval that a bound is looked for in: down to rounding."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The looks that a study may take, fixed before the first."""

    times: tuple[float, ...]
    """What is known at each look, as a share of what is known at the last; increasing to 1."""

    def level(self, look: int, alpha: float) -> float:
        """What the p-value at a look, counted from 1, must be below.

        Args:
            look: which one.
            alpha: chance of an error over all looks together.
        """
        if len(self.times) == 1:
            return alpha
        return _levels(self.times, alpha)[look - 1]


ONCE = Schedule((1.0,))
"""A study that is judged when all of it is there."""

LOOKS = 8
"""Planned where a study adds seeds by itself."""


def one_more_seed(first: int, *, looks: int = LOOKS) -> Schedule:
    """The schedule of a study that begins with so many seeds, and adds one after every look."""
    last = first + looks - 1
    return Schedule(tuple(seeds / last for seeds in range(first, last + 1)))


def spent(time: float, alpha: float) -> float:
    """How much of alpha is spent at a time between 0 and 1."""
    return alpha * math.log1p((math.e - 1) * time)


@lru_cache(maxsize=1024)
def _levels(times: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """The levels of all looks: each spends what falls to it, where no earlier one was crossed.

    What is followed is the sum of increments, of variance `time` at a look. `chance` holds how
    likely it is at each of the points `at`, and has crossed no bound before.
    """
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    at, chance = np.zeros(1), np.ones(1)
    levels: list[float] = []
    for before, time in pairwise((0.0, *times)):
        step = time - before
        bound = _bound(at, chance, step, spent(time, alpha) - spent(before, alpha))
        levels.append(2 * float(ndtr(-bound / math.sqrt(time))))
        points = bound * nodes
        density = _normal(points[:, None] - at, step)
        at, chance = points, bound * weights * (density * chance).sum(axis=1)
    return tuple(levels)


def _bound(at: Floats, chance: Floats, variance: float, crossing: float) -> float:
    """What the sum's size exceeds with the chance `crossing` after a step of this variance."""
    from scipy.special import ndtr

    low, high, step = 0.0, _FAR * math.sqrt(variance) + float(np.abs(at).max()), math.sqrt(variance)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = ndtr((at - middle) / step) + ndtr((-at - middle) / step)
        low, high = (middle, high) if (chance * beyond).sum() > crossing else (low, middle)
    return (low + high) / 2


def _normal(x: Floats, variance: float) -> Floats:
    return np.exp(-(x**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
