"""McNemar's exact test: two trained models on the same yes/no items.

Only items that one model got right and the other wrong tell them apart; if neither is better, each
is as likely to be of either kind (McNemar 1947, Psychometrika 12(2); the exact form is the sign
test). It takes items for independent: questions of one paragraph are not, and stand in the verdict
with their paragraph; then this test is beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunelab.statistics.variance import Floats


@dataclass(frozen=True, slots=True)
class McNemar:
    """How many items only one of two models got right, and the two-sided p-value."""

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: Floats, second: Floats) -> McNemar | None:
    """The test on two models' (N,) scores; None where items are more than right or wrong."""
    right = max(float(first.max()), float(second.max()))
    if not all(bool(((scores == 0) | (scores == right)).all()) for scores in (first, second)):
        return None
    only_first = int(np.count_nonzero(first > second))
    only_second = int(np.count_nonzero(first < second))
    return McNemar(only_first, only_second, _sign_test(only_first, only_second))


def _sign_test(one: int, other: int) -> float:
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(one, other), one + other, 0.5)))
