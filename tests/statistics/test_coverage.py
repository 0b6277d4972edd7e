"""Intervals hold the truth as often as they say, by simulation."""

from __future__ import annotations

import math

import pytest
from tests.statistics.simulation import Design, simulate


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("paragraphs", [35, 300])
def test_coverage_with_three_seeds(paragraphs: int, spread: float) -> None:
    design = Design(paragraphs, spread)
    found = simulate(design, seed=0)
    assert 0.92 <= found.mean <= 0.98
    assert 0.92 <= found.difference <= 0.98
    assert found.false_positives <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / design.studies)
