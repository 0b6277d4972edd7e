"""Intervals against textbook cases, brute force, and what must not change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tunelab.statistics import Clusters, Sample, mean_interval, paired_difference
from tunelab.statistics.variance import Variance, variance


def names(*sizes: int) -> list[str]:
    """Paragraphs of the given numbers of questions."""
    return [f"p{index}" for index, size in enumerate(sizes) for _ in range(size)]


def scores(seed: int, *, seeds: int, items: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(60, 30, (seeds, items))


def test_equal_paragraphs_and_one_seed_give_the_t_interval_of_paragraph_means() -> None:
    values = scores(0, seeds=1, items=24)
    found = mean_interval(values, names(*[4] * 6))
    means = values.reshape(6, 4).mean(axis=1)
    low, high = stats.t.interval(0.95, 5, means.mean(), stats.sem(means))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.seeds, found.items, found.clusters) == (1, 24, 6)


def test_seeds_that_differ_widely_give_the_t_interval_of_seed_means() -> None:
    noise = scores(1, seeds=3, items=40) / 1e6
    values = np.array([[50.0], [60.0], [73.0]]) + noise
    found = mean_interval(values, names(*[4] * 10))
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values.mean(axis=1)))
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-4), pytest.approx(high, rel=1e-4))


def test_seeds_of_two_methods_that_differ_widely_give_welch_s_interval() -> None:
    noise = scores(2, seeds=7, items=40) / 1e6
    a = np.array([[50.0], [60.0], [73.0]]) + noise[:3]
    b = np.array([[41.0], [45.0], [44.0], [43.0]]) + noise[3:]
    found = paired_difference(a, b, names(*[4] * 10))
    welch: Any = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.low == pytest.approx(interval.low, rel=1e-4)
    assert found.high == pytest.approx(interval.high, rel=1e-4)
    assert found.p_value == pytest.approx(welch.pvalue, rel=1e-3)
    assert found.degrees_of_freedom == pytest.approx(welch.df, rel=1e-3)


def test_what_is_particular_to_a_seed_on_a_paragraph_is_counted_once() -> None:
    """Without spread between seeds, three seeds vary less than one, not more."""
    clusters = names(*[5] * 400)
    values = scores(3, seeds=3, items=2000)
    sample = Sample.of(values, clusters)
    truth = 30**2 / 2000 / 3
    assert sample.crossing == pytest.approx(truth, rel=0.25)
    spread = variance(sample)
    assert spread.paragraphs < 0.25 * truth
    assert spread.seeds == max(sample.between, 0.1 * sample.crossing)
    assert spread.total < 3 * truth


def test_seeds_that_agree_by_accident_are_not_taken_for_certain() -> None:
    """Scores of whole points: the means of the seeds are equal, their items are not."""
    a = np.array([[100, 0, 100, 0, 0, 100], [0, 100, 0, 100, 100, 0]] * 2, dtype=float)
    spread = variance(Sample.of(a, names(1, 1, 1, 1, 1, 1)))
    assert spread.total > 0
    assert spread.degrees_of_freedom <= 5


def test_two_seeds_weigh_their_few_degrees_of_freedom() -> None:
    """The same parts from more seeds: more degrees of freedom, and never more than paragraphs."""
    parts = [Variance(1.0, 30.0, 1.0, df) for df in (1.0, 2.0, 4.0, 8.0)]
    freedom = [part.degrees_of_freedom for part in parts]
    assert freedom == sorted(freedom)
    assert freedom[0] == pytest.approx(4 / (1 / 30 + 3))
    assert freedom[-1] < 30


def test_the_variance_is_unbiased_with_few_unequal_paragraphs() -> None:
    rng = np.random.default_rng(4)
    clusters = Clusters.of(names(1, 2, 3, 9, 15))
    studies = [rng.normal(0, 1, 30) for _ in range(2000)]
    found = [variance(Sample.of(values, clusters)).paragraphs for values in studies]
    assert np.mean(found) == pytest.approx(1 / 30, rel=0.05)


def test_degrees_of_freedom_are_those_of_the_covariance_matrix() -> None:
    """tr(O)^2 / tr(O^2) with the matrix written out."""
    sizes = np.array([1, 2, 3, 9, 15])
    clusters = Clusters.of(names(*sizes))
    values = np.random.default_rng(5).normal(0, 1, (1, 30))
    values += np.repeat([2.0, -1.0, 0.5, 1.0, -1.5], sizes)  # correlated within paragraphs
    from tunelab.statistics.variance import intraclass_correlation

    sample = Sample.of(values, clusters)
    rho = intraclass_correlation(sample.mean, sample.influence, clusters)
    assert 0.2 < rho < 1
    p = sizes / 30
    v = sizes * (1 - rho) + sizes**2 * rho
    projection = np.eye(5) - p[:, None]  # T_g - p_g * sum of all T
    scale = np.diag(1 / np.sqrt(1 - p))
    omega = scale @ projection @ np.diag(v) @ projection.T @ scale
    expected = np.trace(omega) ** 2 / np.trace(omega @ omega)
    assert variance(sample).paragraphs_df == pytest.approx(expected)
    assert expected < 4


@pytest.mark.parametrize("groups", [2, 7, 50])
def test_equal_paragraphs_leave_one_degree_of_freedom_fewer(groups: int) -> None:
    values = scores(6, seeds=1, items=3 * groups)
    found = variance(Sample.of(values, names(*[3] * groups)))
    assert found.paragraphs_df == pytest.approx(groups - 1)


def test_the_moment_estimate_is_that_of_the_analysis_of_variance() -> None:
    """Written out with the means of paragraphs."""
    from tunelab.statistics.variance import intraclass_correlation

    clusters = Clusters.of(names(4, 4, 4, 4, 4))
    values = np.random.default_rng(3).normal(0, 1, 20) + np.repeat([2.0, -1, 0, 1, -2], 4)
    means = values.reshape(5, 4).mean(axis=1)
    between = 4 * means.var(ddof=1)
    within = ((values.reshape(5, 4) - means[:, None]) ** 2).sum() / 15
    expected = (between - within) / (between + 3 * within)
    sample = Sample.of(values, clusters)
    assert intraclass_correlation(values, sample.influence, clusters) == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3))
def test_a_difference_does_not_depend_on_order_or_sign(seed: int, s_a: int, s_b: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = [f"p{g}" for g in rng.integers(0, 6, 30)]
    a, b = rng.normal(60, 30, (s_a, 30)), rng.normal(60, 30, (s_b, 30))
    found = paired_difference(a, b, clusters)
    mirrored = paired_difference(b, a, clusters)
    shuffle = rng.permutation(30)
    shuffled = paired_difference(
        a[::-1][:, shuffle], b[:, shuffle], [f"x{clusters[i]}" for i in shuffle]
    )
    assert found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    assert (mirrored.low, mirrored.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert (shuffled.low, shuffled.high) == (pytest.approx(found.low), pytest.approx(found.high))
    assert found.p_value == pytest.approx(shuffled.p_value)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_interval_excludes_zero_exactly_if_p_is_below_its_level(seed: int, s: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = [f"p{g}" for g in rng.integers(0, 8, 40)]
    a = rng.normal(60 + rng.normal(0, 15), 30, (s, 40))
    found = paired_difference(a, rng.normal(60, 30, (s, 40)), clusters)
    assert found.low is not None and found.high is not None and found.p_value is not None
    assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)


def test_one_seed_is_a_paired_test_on_its_items() -> None:
    a, b = scores(7, seeds=1, items=30), scores(8, seeds=1, items=30)
    clusters = names(*[3] * 10)
    difference, mean = paired_difference(a, b, clusters), mean_interval(a - b, clusters)
    assert (difference.low, difference.high) == (pytest.approx(mean.low), pytest.approx(mean.high))
    assert difference.seeds == (1, 1)


def test_a_detectable_difference_is_shown_in_80_of_100_studies() -> None:
    rng = np.random.default_rng(9)
    clusters = names(*[2] * 100)
    pilot = rng.normal(0, 30, (2, 200))
    shift = paired_difference(pilot[0], pilot[1], clusters).detectable
    assert shift is not None
    shown = 0
    for _ in range(300):
        a, b = rng.normal(0, 30, (2, 200))
        p = paired_difference(a + shift, b, clusters).p_value
        assert p is not None
        shown += p < 0.05
    assert 0.7 < shown / 300 < 0.9


def test_one_paragraph_gives_no_interval() -> None:
    found = paired_difference([1.0, 0.0], [0.0, 0.0], ["p", "p"])
    assert (found.value, found.low, found.p_value) == (0.5, None, None)
    assert found.reason == "all items belong to one paragraph"
    assert mean_interval([1.0, 0.0], ["p", "p"]).reason == found.reason


@pytest.mark.parametrize("values", [[1.0] * 6, [0.0] * 6, [0.1, 0.3, 0.2, 0.2, 0.3, 0.1]])
def test_paragraphs_that_do_not_differ_give_no_interval(values: list[float]) -> None:
    found = mean_interval([values, values, values], names(2, 2, 2))
    assert (found.value, found.low) == (pytest.approx(values[0] / 2 + values[1] / 2), None)
    assert found.reason == "all paragraphs have the same value"
    assert paired_difference(values, [0.0] * 6, names(2, 2, 2)).reason == found.reason


def test_scores_and_items_must_fit() -> None:
    with pytest.raises(ValueError, match=r"\(1, 3\) for 2 items"):
        mean_interval([1.0, 2.0, 3.0], ["p", "q"])


def test_within_cuts_to_possible_scores() -> None:
    found = mean_interval([100.0, 100.0, 90.0], ["p", "q", "r"])
    assert found.high is not None and found.high > 100
    assert found.within(0, 100).high == 100
