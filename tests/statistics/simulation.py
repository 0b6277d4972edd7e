"""Studies with a known truth, to see how often intervals hold it.

Each study draws paragraphs of 2 to 17 questions and seeds anew. A score, in points, is the sum of
what the paragraph, the question, the method on this question, the seed (its `spread`) and chance
bring. Two methods are identical if no question suits one of them better.

    python -m tests.statistics.simulation        prints the tables of docs/statistics.md
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tunelab.statistics import mean_interval, paired_difference
from tunelab.statistics.variance import Clusters, Variance, variance

Scores = NDArray[np.float64]

TRUE_MEAN = 60.0
TRUE_DIFFERENCE = 1.5

PARAGRAPH_SD = 10.0
QUESTION_SD = 35.0
METHOD_SD = 15.0
CHANCE_SD = 20.0


@dataclass(frozen=True, slots=True)
class Design:
    """A kind of study."""

    paragraphs: int
    spread: float
    """Standard deviation between seeds, in points."""
    seeds: int = 3
    studies: int = 1000


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the studies."""

    mean: float
    """The interval of a score holds the true score."""
    difference: float
    """The interval of a difference holds the true one."""
    false_positives: float
    """Two identical methods are called different."""


def simulate(design: Design, *, seed: int) -> Coverage:
    """Do the studies of a design."""
    held = np.zeros(3)
    for a, same, other, clusters in _studies(design, seed):
        mean = mean_interval(a, clusters)
        difference = paired_difference(other, a, clusters)
        identical = paired_difference(a, same, clusters)
        assert identical.p_value is not None
        held += [
            _holds(mean.low, mean.high, TRUE_MEAN),
            _holds(difference.low, difference.high, TRUE_DIFFERENCE),
            identical.p_value < 0.05,
        ]
    return Coverage(*(float(share) for share in held / design.studies))


def compare_quantiles(design: Design, *, seed: int) -> dict[str, Coverage]:
    """The same with other quantiles than the one that `Variance.critical` takes."""
    held = {name: np.zeros(3) for name in QUANTILES}
    for a, same, other, clusters in _studies(design, seed):
        cases = [
            ([a], a.mean(axis=0), TRUE_MEAN),
            ([other, a], other.mean(axis=0) - a.mean(axis=0), TRUE_DIFFERENCE),
            ([a, same], a.mean(axis=0) - same.mean(axis=0), 0.0),
        ]
        for column, (methods, contrast, truth) in enumerate(cases):
            spread = variance(methods, contrast, Clusters.of(clusters))
            miss = abs(contrast.mean() - truth) / math.sqrt(spread.total)
            for name, quantile in QUANTILES.items():
                held[name][column] += miss <= quantile(spread)
    shares = {name: sums / design.studies for name, sums in held.items()}
    return {name: Coverage(float(m), float(d), float(1 - i)) for name, (m, d, i) in shares.items()}


def _satterthwaite(spread: Variance) -> float:
    squares = spread.clusters**2 / spread.clusters_df + spread.seeds**2 / spread.seeds_df
    return float(stdtrit(spread.total**2 / squares, 0.975))


def _weighted(spread: Variance, weight: float) -> float:
    ends = stdtrit(spread.clusters_df, 0.975), stdtrit(spread.seeds_df, 0.975)
    return float(np.average(ends, weights=(spread.clusters, weight)))


QUANTILES: dict[str, Callable[[Variance], float]] = {
    "one t, Satterthwaite": _satterthwaite,
    "weights C and B - X": lambda v: _weighted(v, max(v.seeds - v.crossing, 0)),
    "weights C and the middle (used)": lambda v: v.critical(0.975),
    "weights C and B": lambda v: _weighted(v, v.seeds),
}


def _studies(design: Design, seed: int) -> Iterator[tuple[Scores, Scores, Scores, list[str]]]:
    """Two identical methods and a better one, (seeds, items) each, and the items' paragraphs."""
    rng = np.random.default_rng(seed)
    for _ in range(design.studies):
        sizes = rng.integers(2, 18, design.paragraphs)
        clusters = [str(g) for g, size in enumerate(sizes) for _ in range(size)]
        shared = TRUE_MEAN + np.repeat(rng.normal(0, PARAGRAPH_SD, len(sizes)), sizes)
        shared = shared + rng.normal(0, QUESTION_SD, len(clusters))
        taste = TRUE_DIFFERENCE + rng.normal(0, METHOD_SD, len(clusters))
        a, same, other = (_method(base, design, rng) for base in (shared, shared, shared + taste))
        yield a, same, other, clusters


def _method(shared: Scores, design: Design, rng: np.random.Generator) -> Scores:
    spread = rng.normal(0, design.spread, (design.seeds, 1))
    return shared + spread + rng.normal(0, CHANCE_SD, (design.seeds, len(shared)))


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    assert low is not None and high is not None
    return low <= truth <= high


def main() -> None:
    """Print both tables."""
    columns = "score held | difference held | identical called different"
    print(f"| paragraphs | seeds | seed spread | {columns} |\n|{' ---: |' * 6}")
    for seeds in (2, 3, 5):
        for paragraphs in (35, 300):
            for spread in (0.0, 0.5, 2.0):
                found = simulate(Design(paragraphs, spread, seeds=seeds), seed=1)
                print(f"| {paragraphs} | {seeds} | {spread:g} | {_cells(found)} |", flush=True)
    print(f"\n| quantile | paragraphs | seed spread | {columns} |\n| --- |{' ---: |' * 5}")
    for paragraphs, spread in ((35, 2.0), (300, 0.5), (300, 2.0), (300, 5.0)):
        for name, found in compare_quantiles(Design(paragraphs, spread), seed=2).items():
            print(f"| {name} | {paragraphs} | {spread:g} | {_cells(found)} |", flush=True)


def _cells(found: Coverage) -> str:
    shares = (found.mean, found.difference, found.false_positives)
    return " | ".join(f"{100 * share:.1f} %" for share in shares)


if __name__ == "__main__":
    main()
