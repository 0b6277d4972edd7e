"""Intervals of a mean score and of the paired difference of two.

The variance is that of `tunelab.statistics.variance`; here it becomes t intervals. With one seed an
interval is about that trained model; with several it is about the method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tunelab.statistics.mcnemar import McNemar, mcnemar
from tunelab.statistics.variance import Clusters, Sample, variance

_POWER = 0.8
"""Chance that a study shows a difference which it is said to be able to show."""

_NOTHING = 1e-9
"""A standard error below this share of the values is rounding."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean score, in the unit of its values."""

    value: float
    seeds: int
    items: int
    clusters: int
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    reason: str = ""
    """Why there is no interval, where there is none."""

    def within(self, lowest: float, highest: float) -> Interval:
        """The interval cut to the values that a score can have."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, lowest), high=min(self.high, highest))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the first method scores than the second on the same items."""

    value: float
    seeds: tuple[int, int]
    items: int
    clusters: int
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = None
    """Two-sided, of no difference; not corrected for other comparisons."""
    detectable: float | None = None
    """The true difference that such a study would show in 80 of 100 cases."""
    mcnemar: McNemar | None = None
    """Of two trained models whose items are right or wrong."""
    reason: str = ""
    """Why there is no interval, where there is none."""

    @property
    def by_mcnemar(self) -> bool:
        """Whether the p-value is McNemar's: its items are independent, so it is exact."""
        return self.mcnemar is not None and self.clusters == self.items

    def at(self, level: float) -> Difference:
        """The same with the interval, and the detectable difference, of another level."""
        error, freedom = self.standard_error, self.degrees_of_freedom
        if error is None or freedom is None:
            return self
        critical = _quantile(freedom, (1 + level) / 2)
        return replace(
            self,
            low=self.value - critical * error,
            high=self.value + critical * error,
            detectable=(critical + _quantile(freedom, _POWER)) * error,
        )


def mean_interval(
    values: ArrayLike, clusters: Sequence[str] | Clusters, *, level: float = 0.95
) -> Interval:
    """The mean of `values` with an interval.

    Args:
        values: (S, N) scores of S seeds on N items; (N,) for one seed.
        clusters: (N,) the paragraph of each item.
        level: of the interval.
    """
    return interval(Sample.of(values, clusters), level=level)


def interval(sample: Sample, *, level: float = 0.95) -> Interval:
    """The mean of a method's scores, as `mean_interval`."""
    result = Interval(
        value=float(sample.mean.mean()),
        seeds=sample.seeds,
        items=len(sample.mean),
        clusters=len(sample.clusters.sizes),
    )
    found = _error(sample)
    if isinstance(found, str):
        return replace(result, reason=found)
    error, freedom = found
    half = _quantile(freedom, (1 + level) / 2) * error
    return replace(result, low=result.value - half, high=result.value + half, standard_error=error)


def paired_difference(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[str] | Clusters, *, level: float = 0.95
) -> Difference:
    """The mean of `a` minus the mean of `b`, with an interval.

    Args:
        a: (S_a, N) scores of one method's seeds on N items; (N,) for one seed.
        b: (S_b, N) scores of the other method on the same items in the same order.
        clusters: (N,) the paragraph of each item.
        level: of the interval.
    """
    groups = clusters if isinstance(clusters, Clusters) else Clusters.of(clusters)
    return difference(Sample.of(a, groups), Sample.of(b, groups), level=level)


def difference(first: Sample, second: Sample, *, level: float = 0.95) -> Difference:
    """The difference of two methods' means on the same items, as `paired_difference`."""
    result = Difference(
        value=float((first.mean - second.mean).mean()),
        seeds=(first.seeds, second.seeds),
        items=len(first.mean),
        clusters=len(first.clusters.sizes),
        mcnemar=mcnemar(first.mean, second.mean) if first.seeds == second.seeds == 1 else None,
    )
    found = _error(first, second)
    if isinstance(found, str):
        return replace(result, reason=found)
    error, freedom = found
    whole = replace(
        result,
        standard_error=error,
        degrees_of_freedom=freedom,
        p_value=2 * _t_probability(freedom, -abs(result.value) / error),
    )
    if whole.mcnemar is not None and whole.by_mcnemar:
        whole = replace(whole, p_value=whole.mcnemar.p_value)
    return whole.at(level)


def _error(first: Sample, second: Sample | None = None) -> tuple[float, float] | str:
    """Standard error and degrees of freedom, or why there is nothing to speak of."""
    if len(first.clusters.sizes) < 2:
        return "all items belong to one paragraph"
    spread = variance(first, second)
    contrast = first.mean if second is None else first.mean - second.mean
    error = math.sqrt(spread.total)
    if error <= _NOTHING * float(np.abs(contrast).max()):
        return "all paragraphs have the same value"
    return error, spread.degrees_of_freedom


def _quantile(degrees_of_freedom: float, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, probability))


def _t_probability(degrees_of_freedom: float, t: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees_of_freedom, t))
