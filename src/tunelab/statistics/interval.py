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

from tunelab.statistics.variance import Clusters, Floats, Variance, variance

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
    """Of the t distribution whose critical value is the one used."""
    p_value: float | None = None
    """Two-sided, of no difference; not corrected for other comparisons."""
    detectable: float | None = None
    """The true difference that such a study would show in 80 of 100 cases."""
    reason: str = ""
    """Why there is no interval, where there is none."""


def mean_interval(values: ArrayLike, clusters: Sequence[str], *, level: float = 0.95) -> Interval:
    """The mean of `values` with an interval.

    Args:
        values: (S, N) scores of S seeds on N items; (N,) for one seed.
        clusters: (N,) the paragraph of each item.
        level: of the interval.
    """
    scores, groups = _matrix(values, clusters), Clusters.of(clusters)
    contrast = scores.mean(axis=0)
    result = Interval(
        value=float(contrast.mean()),
        seeds=len(scores),
        items=len(contrast),
        clusters=len(groups.sizes),
    )
    reason, spread = _variance([scores], contrast, groups)
    if spread is None:
        return replace(result, reason=reason)
    half = spread.critical(_upper(level)) * math.sqrt(spread.total)
    return replace(
        result,
        low=result.value - half,
        high=result.value + half,
        standard_error=math.sqrt(spread.total),
    )


def paired_difference(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[str], *, level: float = 0.95
) -> Difference:
    """The mean of `a` minus the mean of `b`, with an interval.

    Args:
        a: (S_a, N) scores of one method's seeds on N items; (N,) for one seed.
        b: (S_b, N) scores of the other method on the same items in the same order.
        clusters: (N,) the paragraph of each item.
        level: of the interval.
    """
    first, second, groups = _matrix(a, clusters), _matrix(b, clusters), Clusters.of(clusters)
    contrast = first.mean(axis=0) - second.mean(axis=0)
    result = Difference(
        value=float(contrast.mean()),
        seeds=(len(first), len(second)),
        items=len(contrast),
        clusters=len(groups.sizes),
    )
    reason, spread = _variance([first, second], contrast, groups)
    if spread is None:
        return replace(result, reason=reason)
    error, critical = math.sqrt(spread.total), spread.critical(_upper(level))
    freedom = _degrees_of_freedom(spread, critical, level)
    return replace(
        result,
        low=result.value - critical * error,
        high=result.value + critical * error,
        standard_error=error,
        degrees_of_freedom=freedom,
        p_value=2 * _t_probability(freedom, -abs(result.value) / error),
        detectable=(critical + spread.critical(_POWER)) * error,
    )


def _matrix(values: ArrayLike, clusters: Sequence[str]) -> Floats:
    scores = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if scores.ndim != 2 or scores.shape[1] != len(clusters) or scores.size == 0:
        raise ValueError(f"scores of shape {scores.shape} for {len(clusters)} items")
    return scores


def _variance(
    methods: Sequence[Floats], contrast: Floats, groups: Clusters
) -> tuple[str, Variance | None]:
    """The variance of the mean of `contrast`, or why there is none to speak of."""
    if len(groups.sizes) < 2:
        return "all items belong to one paragraph", None
    spread = variance(methods, contrast, groups)
    if math.sqrt(spread.total) <= _NOTHING * float(np.abs(contrast).max()):
        return "all paragraphs have the same value", None
    return "", spread


def _upper(level: float) -> float:
    return (1 + level) / 2


def _degrees_of_freedom(spread: Variance, critical: float, level: float) -> float:
    """Those of the one t distribution that has `critical` as its quantile."""
    from scipy.special import stdtridf

    if spread.seeds == 0:
        return spread.clusters_df
    return float(stdtridf(_upper(level), critical))


def _t_probability(degrees_of_freedom: float, t: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees_of_freedom, t))
