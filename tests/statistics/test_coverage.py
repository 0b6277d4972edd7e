"""Intervals hold the truth, and verdicts keep their level, as often as they say: by simulation."""

from __future__ import annotations

import math

import pytest
from tests.statistics.freedom import RATIOS, held
from tests.statistics.simulation import (
    ALPHA,
    CLUSTERS,
    SPREADS,
    Design,
    simulate,
    simulate_looks,
)

STUDIES = 2000


ERROR = math.sqrt(ALPHA * (1 - ALPHA) / STUDIES)
"""Monte-Carlo error of a share near 5 or 95 %."""


def most(studies: int) -> float:
    """False calls of all studies that may be: 5 % and two Monte-Carlo errors."""
    return ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / studies)


@pytest.mark.parametrize("seeds_df", [2, 3, 4, 8])
def test_intervals_hold_at_any_ratio_of_paragraphs_and_seeds(seeds_df: int) -> None:
    """Three seeds leave a score 2 degrees of freedom, and a difference 2 to 4."""
    for ratio in RATIOS:
        assert 0.94 <= held("used", seeds_df=seeds_df, ratio=ratio) <= 0.97
        assert held("used", seeds_df=seeds_df, ratio=ratio, level=0.99) >= 0.98


def test_satterthwaite_s_rule_would_not() -> None:
    assert held("Satterthwaite", seeds_df=2, ratio=10) < 0.925
    assert held("Cochran", seeds_df=2, ratio=0.3) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", CLUSTERS)
def test_coverage_with_three_seeds(name: str, spread: float) -> None:
    clusters, questions = CLUSTERS[name]
    design = Design(clusters, spread, questions=questions)
    found = simulate(design, studies=STUDIES, seed=1)
    assert 0.93 - ERROR <= found.mean <= 0.97 + ERROR
    assert 0.93 - ERROR <= found.difference <= 0.97 + ERROR
    assert found.false_positives <= most(STUDIES)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_looking_several_times_keeps_the_level(spread: float) -> None:
    found = simulate_looks(Design(35, spread), looks=8, studies=STUDIES, seed=2)
    assert found.false_positives <= most(STUDIES)


@pytest.mark.parametrize("spread", SPREADS)
def test_a_short_form_of_the_same(spread: float) -> None:
    found = simulate(Design(35, spread), studies=300, seed=0)
    assert 0.91 <= found.mean <= 0.99
    assert 0.91 <= found.difference <= 0.99
    assert found.false_positives <= most(300)


def test_a_short_form_of_several_looks() -> None:
    found = simulate_looks(Design(200, 0.5), looks=4, studies=40, seed=0)
    assert found.false_positives <= most(40)
    assert found.found > 0.2
    assert 1 <= found.looks <= 4
