"""Risk against coverage, by hand and against the slow and obvious way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.errors import DataError
from tunelab.metrics import risk_coverage

ITEMS = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.integers(0, 3)), min_size=1)


def test_worked_out_by_hand() -> None:
    curve = risk_coverage([1.0, 0.0, 0.5, 0.0], [0.1, 9.0, 2.0, 5.0])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([0.0, 0.0, 1 / 6, 1.5 / 4])
    assert curve.area == pytest.approx((1 / 6 + 1.5 / 4) / 4)
    assert curve.lowest_area == curve.area  # ranked perfectly


def test_confidence_that_says_nothing_is_a_flat_line() -> None:
    curve = risk_coverage([1.0, 0.0, 0.0, 1.0], [7.0] * 4)
    assert curve.risk.tolist() == [0.5] * 4


def test_infinite_confidence_has_its_place() -> None:
    curve = risk_coverage([0.0, 1.0, 1.0], [0.0, -np.inf, np.inf])
    assert curve.risk.tolist() == pytest.approx([1.0, 0.5, 2 / 3])


@given(ITEMS.filter(lambda items: len(items) <= 6))
def test_ties_count_as_broken_at_random(items: list[tuple[float, int]]) -> None:
    number = np.arange(1, len(items) + 1)
    orders = [
        [loss for loss, _ in order]
        for order in itertools.permutations(items)
        if all(one[1] >= other[1] for one, other in itertools.pairwise(order))
    ]
    expected = np.mean([np.cumsum(order) / number for order in orders], axis=0)
    losses, confidence = zip(*items, strict=True)
    assert risk_coverage(losses, confidence).risk == pytest.approx(expected)


@given(ITEMS)
def test_bounds(items: list[tuple[float, int]]) -> None:
    losses, confidence = zip(*items, strict=True)
    curve = risk_coverage(losses, confidence)
    assert curve.risk[-1] == pytest.approx(np.mean(losses))
    assert curve.lowest_area <= curve.area + 1e-12
    scaled = risk_coverage(losses, [3.0 * value - 1 for value in confidence])
    assert scaled.risk == pytest.approx(curve.risk)


@pytest.mark.parametrize(
    ("losses", "confidence", "count"), [([], [], "0 of 0"), ([1.0, 0.0], [1.0, np.nan], "1 of 2")]
)
def test_no_curve_without_numbers(losses: list[float], confidence: list[float], count: str) -> None:
    with pytest.raises(DataError, match=f"{count} confidences are not a number"):
        risk_coverage(losses, confidence)
