"""Studies with a known truth, to see how often intervals hold it.

Each study draws paragraphs of 2 to 17 questions and seeds anew. A score, in points, is the sum of
what the paragraph, the question, the method on this question, the seed (its `spread`) and chance
bring. Two methods are identical if no question suits one of them better.

    PYTHONPATH=src python -m tests.statistics.simulation     prints the table of docs/statistics.md
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.statistics import mean_interval, paired_difference

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
    rng = np.random.default_rng(seed)
    held = np.zeros(3)
    for _ in range(design.studies):
        sizes = rng.integers(2, 18, design.paragraphs)
        clusters = [str(g) for g, size in enumerate(sizes) for _ in range(size)]
        shared = TRUE_MEAN + np.repeat(rng.normal(0, PARAGRAPH_SD, len(sizes)), sizes)
        shared = shared + rng.normal(0, QUESTION_SD, len(clusters))
        taste = TRUE_DIFFERENCE + rng.normal(0, METHOD_SD, len(clusters))
        a, b, other = (_method(base, design, rng) for base in (shared, shared, shared + taste))
        mean = mean_interval(a, clusters)
        difference = paired_difference(other, a, clusters)
        identical = paired_difference(a, b, clusters)
        assert identical.p_value is not None
        held += [
            _holds(mean.low, mean.high, TRUE_MEAN),
            _holds(difference.low, difference.high, TRUE_DIFFERENCE),
            identical.p_value < 0.05,
        ]
    return Coverage(*(held / design.studies))


def _method(
    shared: NDArray[np.float64], design: Design, rng: np.random.Generator
) -> NDArray[np.float64]:
    spread = rng.normal(0, design.spread, (design.seeds, 1))
    return shared + spread + rng.normal(0, CHANCE_SD, (design.seeds, len(shared)))


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    assert low is not None and high is not None
    return low <= truth <= high


def main() -> None:
    print("| paragraphs | seeds | seed spread | score held | difference held | false positives |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for seeds in (2, 3, 5):
        for paragraphs in (35, 300):
            for spread in (0.0, 0.5, 2.0):
                found = simulate(Design(paragraphs, spread, seeds=seeds), seed=1)
                shares = (found.mean, found.difference, found.false_positives)
                cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
                print(f"| {paragraphs} | {seeds} | {spread:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
