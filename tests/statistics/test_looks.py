"""Levels of repeated looks against published bounds, and Holm's correction across looks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from tunelab.statistics import ONCE, Schedule, decide, holm

FIVE = Schedule((0.2, 0.4, 0.6, 0.8, 1.0))


def test_bounds_of_five_equal_looks_are_the_published_ones() -> None:
    """Pocock-type spending of 5 %, two-sided, as the programs of Lan and DeMets print it."""
    bounds = [-ndtri(FIVE.level(look, 0.05) / 2) for look in range(1, 6)]
    assert bounds == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=1e-4)


def test_two_looks_err_together_as_often_as_they_may() -> None:
    looks = Schedule((0.3, 1.0))
    a, b = (-ndtri(looks.level(look, 0.05) / 2) for look in (1, 2))
    covariance: Any = [[1, 0.3**0.5], [0.3**0.5, 1]]
    both = multivariate_normal(cov=covariance)
    inside = both.cdf([a, b], lower_limit=[-a, -b])
    assert 1 - inside == pytest.approx(0.05, abs=1e-5)


def test_one_look_spends_all() -> None:
    assert ONCE.level(1, 0.05) == 0.05
    assert Schedule((0.5, 1.0)).level(1, 0.05) < 0.05


@settings(deadline=None, max_examples=30)
@given(st.floats(0.0005, 0.05), st.integers(1, 4), st.integers(2, 8))
def test_levels_rise_with_the_error_allowed(alpha: float, first: int, looks: int) -> None:
    """Else Holm's steps would not be those of a closed test."""
    last = first + looks - 1
    schedule = Schedule(tuple((first + k) / last for k in range(looks)))
    for look in range(1, looks + 1):
        assert schedule.level(look, alpha / 2) < schedule.level(look, alpha) <= alpha


def test_one_look_is_holm() -> None:
    p_values = {("a", "b"): 0.01, ("a", "c"): 0.04, ("b", "c"): 0.03, ("c", "d"): 0.005}
    decisions = decide([p_values], schedule=ONCE, alpha=0.05)
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    for pair, decision in decisions.items():
        assert decision.shown == (adjusted[pair] < 0.05)
        assert decision.level == pytest.approx(0.05 * p_values[pair] / adjusted[pair], rel=0.4)
    assert decisions["c", "d"].level == 0.05 / 4
    assert decisions["b", "c"].level == 0.05 / 2


def test_what_a_look_has_shown_stays_and_gives_the_others_its_share() -> None:
    ab, ac, bc = ("a", "b"), ("a", "c"), ("b", "c")
    looks = [{ab: 1e-6, ac: 0.3, bc: 0.5}, {ab: 0.9, ac: 0.006, bc: 0.6}]
    decisions = decide(looks, schedule=FIVE, alpha=0.05)
    assert (decisions[ab].shown, decisions[ab].look) == (True, 1)
    assert (decisions[ac].shown, decisions[ac].look) == (True, 2)
    assert decisions[ac].level == FIVE.level(2, 0.05 / 2)  # of the two that were open
    assert (decisions[bc].shown, decisions[bc].look) == (False, 2)
    assert decisions[bc].level == FIVE.level(2, 0.05)


def test_a_pair_that_comes_later_is_counted_from_then() -> None:
    looks = [{("a", "b"): 0.5}, {("a", "b"): 0.5, ("a", "c"): 0.5}]
    decisions = decide(looks, schedule=FIVE, alpha=0.05)
    assert decisions["a", "b"].level == FIVE.level(2, 0.05 / 2)
