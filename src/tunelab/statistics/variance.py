"""How much a mean over seeds and items would vary if the study were done again.

A study draws paragraphs, which bring their questions along, and seeds, which bring a trained model
each. With y[s, i] the score of item i under seed s, w_g the share of the items in paragraph g, and
e[s, g] = sum over i in g of (y[s, i] - mean_s) / N, the influence of paragraph g on seed s's mean
(the mean is a ratio, items over their number, so this is its linearised form), the mean squares are

    paragraphs      C = sum_g ebar_g^2 / (1 - w_g),  ebar_g = mean_s e[s, g]
    seeds           B = var_s(mean_s) / S
    their crossing  X = sum_sg (e[s, g] - ebar_g)^2 / (1 - w_g) / ((S - 1) S)

C and B both hold the variation that is particular to a seed on a paragraph, so X, which estimates
it alone, is taken off once (two-way clustering: Cameron, Gelbach and Miller 2011,
doi:10.1198/jbes.2010.07136); it is taken off C, which is known from many paragraphs, and not off B:

    V = P + B,  P = max(C - X, 0)

The factor 1 / (1 - w_g) makes C unbiased for few paragraphs: the CR2 correction of Bell and
McCaffrey (2002, Survey Methodology 28(2)) for a mean. For a difference, y is the difference of the
two methods' seed means in C, and B and X are sums over the two methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_LEAST = 0.1
"""B is taken for at least this share of X: seeds may agree by accident, exactly so where scores are
counts, but what is particular to a seed on a paragraph is in B too."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which paragraph each item belongs to."""

    codes: NDArray[np.intp]  # (N,) 0 .. G - 1
    sizes: Floats  # (G,)

    @classmethod
    def of(cls, names: Sequence[str]) -> Clusters:
        """From the paragraph's name of each item."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        codes = np.fromiter((numbers[name] for name in names), dtype=np.intp, count=len(names))
        return cls(codes, np.bincount(codes).astype(np.float64))

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.codes)

    @property
    def shares(self) -> Floats:
        """(G,) w_g."""
        return self.sizes / self.sizes.sum()

    def influences(self, values: Floats) -> Floats:
        """(S, N) values -> (S, G) influences e[s, g] on the mean of each row."""
        groups = len(self.sizes)
        sums = np.stack([np.bincount(self.codes, weights=y, minlength=groups) for y in values])
        return (sums - values.mean(axis=1, keepdims=True) * self.sizes) / len(self)


@dataclass(frozen=True, slots=True)
class Sample:
    """One method's scores on clustered items, summed up once for all it is compared with."""

    clusters: Clusters
    seeds: int
    mean: Floats
    """(N,) over the seeds."""
    influence: Floats
    """(G,) ebar_g."""
    between: float
    """B; 0 with one seed."""
    crossing: float
    """X; likewise."""

    @classmethod
    def of(cls, values: ArrayLike, clusters: Sequence[str] | Clusters) -> Sample:
        """From the scores of S seeds on N items (S, N), or (N,) of one seed.

        Args:
            values: the scores.
            clusters: (N,) the paragraph of each item.
        """
        scores = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if scores.ndim != 2 or scores.shape[1] != len(clusters) or scores.size == 0:
            raise ValueError(f"scores of shape {scores.shape} for {len(clusters)} items")
        groups = clusters if isinstance(clusters, Clusters) else Clusters.of(clusters)
        mean, seeds = scores.mean(axis=0), len(scores)
        influences = groups.influences(scores)
        influence = influences.mean(axis=0)
        if seeds == 1 or len(groups.sizes) == 1:
            return cls(groups, seeds, mean, influence, 0.0, 0.0)
        particular = ((influences - influence) ** 2 / (1 - groups.shares)).sum()
        return cls(
            groups,
            seeds,
            mean,
            influence,
            between=float(scores.mean(axis=1).var(ddof=1) / seeds),
            crossing=float(particular / ((seeds - 1) * seeds)),
        )


@dataclass(frozen=True, slots=True)
class Variance:
    """The parts of the variance of an estimate; with one seed the last two are 0."""

    paragraphs: float
    """P."""
    paragraphs_df: float
    seeds: float
    """B, summed over the methods."""
    seeds_df: float

    @property
    def total(self) -> float:
        """V, the squared standard error."""
        return self.paragraphs + self.seeds

    @property
    def degrees_of_freedom(self) -> float:
        """Of the t distribution of the estimate over its standard error.

        The harmonic mean of both parts' degrees of freedom, weighted by the parts. Satterthwaite's
        weights, the squares of the parts, miss where few seeds make most of the variance: seeds
        that happen to agree make B small, and then raise the degrees of freedom as well (a score
        is held in 92 instead of 95 % of such studies with three seeds). For the same reason B is
        weighted a little more than it counts, by 1 + 2 / df^3: see docs/statistics.md.
        """
        if self.seeds == 0:
            return self.paragraphs_df
        weight = self.seeds * (1 + 2 / self.seeds_df**3)
        inverse = self.paragraphs / self.paragraphs_df + weight / self.seeds_df
        return (self.paragraphs + weight) / inverse


def variance(first: Sample, second: Sample | None = None) -> Variance:
    """The variance of a sample's mean, or of the difference of two on the same items.

    There must be two paragraphs at least.
    """
    groups = first.clusters
    samples = [first] if second is None else [first, second]
    contrast, influence = first.mean, first.influence
    if second is not None:
        contrast, influence = contrast - second.mean, influence - second.influence
    seeds = sum(sample.between for sample in samples)
    crossing = sum(sample.crossing for sample in samples)
    squares = sum(s.between**2 / (s.seeds - 1) for s in samples if s.seeds > 1)
    # Satterthwaite (1946, Biometrics Bulletin 2(6)) over the methods, as in Welch's test; where no
    # method's seeds differ, of all of them together
    fewest = sum(sample.seeds - 1 for sample in samples)
    return Variance(
        paragraphs=max(float((influence**2 / (1 - groups.shares)).sum()) - crossing, 0.0),
        paragraphs_df=_paragraphs_df(groups, intraclass_correlation(contrast, influence, groups)),
        seeds=max(seeds, _LEAST * crossing),
        seeds_df=seeds**2 / squares if squares > 0 else float(fewest),
    )


def _paragraphs_df(clusters: Clusters, rho: float) -> float:
    """Bell and McCaffrey's degrees of freedom of C, tr(O)^2 / tr(O^2).

    O is the covariance of the corrected influences if items of a paragraph correlate by rho and
    paragraphs are independent (as Imbens and Kolesar, 2016, doi:10.1162/REST_a_00552): unequal
    paragraphs leave fewer degrees of freedom than G - 1. O is diagonal plus low rank, so both
    traces are sums over paragraphs.
    """
    p, sizes = clusters.shares, clusters.sizes
    v = sizes * (1 - rho) + sizes**2 * rho  # variance of a paragraph's sum
    w = 1 / (1 - p)
    total = v.sum()
    diagonal = w * (v - 2 * p * v + p**2 * total)
    vv, pp, vp = (w * v**2).sum(), (w * p**2).sum(), (w * v * p).sum()
    low_rank = 2 * vv * pp + 2 * vp**2 - 4 * total * vp * pp + total**2 * pp**2
    squares = low_rank + (diagonal**2).sum() - ((diagonal - w * v) ** 2).sum()
    return float(diagonal.sum() ** 2 / squares)


def intraclass_correlation(contrast: Floats, influence: Floats, clusters: Clusters) -> float:
    """The moment estimate from the analysis of variance, kept within 0 and 1."""
    count, sizes, groups = len(contrast), clusters.sizes, len(clusters.sizes)
    if count == groups:
        return 0.0
    explained = float((influence**2 / sizes).sum()) * count**2
    left = max(float(contrast.var()) * count - explained, 0.0)
    within, between = left / (count - groups), explained / (groups - 1)
    typical = (count - (sizes**2).sum() / count) / (groups - 1)
    spread = between + (typical - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 0.0
