"""Studies with a known truth, to see how often intervals and verdicts hold it.

Scores look like real F1 of a middling model (`python -m tests.statistics.shape` prints real ones):
a quarter of the answers score 0, more than half 100, the rest lies between; questions of one
paragraph, two seeds of one method and two methods on one question are as alike as real ones. For
that, what an answer is worth is a sum of normal parts, cut to 0 and 100:

    score = min(max(122.8 + paragraph + question + taste + spread + chance, 0), 100)

    paragraph, question    the same for all methods and seeds
    taste                  what suits a method: a part for the question, and one for its paragraph
    spread                 one value a seed; its effect on the mean score has the deviation named
    chance                 what suits a seed: likewise a part for the question and its paragraph

Every study draws all of them anew, and how many questions its paragraphs have. Identical methods
share their taste. The true mean is exact: the expectation of a cut normal variable.

    python -m tests.statistics.simulation [--studies N]    prints the first tables of
                                                           docs/results/statistics.md
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tunelab.statistics import (
    ALPHA,
    Clusters,
    Difference,
    Interval,
    Sample,
    decide,
    difference,
    interval,
)
from tunelab.statistics.looks import LOOKS, one_more_seed

Values = NDArray[np.float32]

SD, MEAN = 182.0, 122.8
"""Of an answer's worth before it is cut: 25 % at 0 and 55 % at 100."""

PARAGRAPH, QUESTION = 0.05, 0.5
TASTE, TASTE_OF_PARAGRAPH = 0.19, 0.01
CHANCE, CHANCE_OF_PARAGRAPH = 0.24, 0.01
"""Shares of the variance."""

SLOPE = 0.2
"""Points of the mean score for a point of worth: the share that is not cut."""

BETTER = 7.5
"""Worth that a better method adds: 1.5 points of its mean score."""

MUCH_BETTER = 20.0
"""4 points, where a study looks for it."""


@dataclass(frozen=True, slots=True)
class Design:
    """A kind of study."""

    clusters: int
    spread: float
    """Standard deviation of the seeds' true mean scores, in points."""
    seeds: int = 3
    questions: float = 9.86
    """In a cluster on average, as in SQuAD 2.0 dev; at least 3."""

    @property
    def true_mean(self) -> float:
        """Of a method's score over paragraphs, questions and seeds."""
        return _cut_mean(MEAN, self.spread)

    @property
    def true_difference(self) -> float:
        """Of the better method and another."""
        return _cut_mean(MEAN + BETTER, self.spread) - self.true_mean


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the studies."""

    mean: float
    """The interval of a score holds the true score."""
    difference: float
    """The interval of a difference holds the true one."""
    false_positives: float
    """Two identical methods are called different."""
    false_at_small_level: float
    """At a tenth of the level, which correction for many pairs and looks comes down to."""


def simulate(design: Design, *, studies: int, seed: int) -> Coverage:
    """Do studies of one kind: two identical methods, and one that is better."""
    rng = np.random.default_rng(seed)
    held = np.zeros(4)
    for _ in range(studies):
        clusters, shared = questions(design, rng)
        usual = shared + part(clusters, TASTE, TASTE_OF_PARAGRAPH, rng)
        other = shared + part(clusters, TASTE, TASTE_OF_PARAGRAPH, rng) + np.float32(BETTER)
        a, same, better = (_sample(worth, clusters, design, rng) for worth in (usual, usual, other))
        identical = difference(a, same)
        assert identical.p_value is not None
        held += [
            _holds(interval(a), design.true_mean),
            _holds(difference(better, a), design.true_difference),
            identical.p_value < ALPHA,
            identical.p_value < ALPHA / 10,
        ]
    return Coverage(*(float(share) for share in held / studies))


@dataclass(frozen=True, slots=True)
class Looking:
    """Shares of the studies that looked several times."""

    false_positives: float
    """Any two of the identical methods are called different, at any look."""
    found: float
    """The better method is told from all of them in the end."""
    looks: float
    """At which the better method is told from one of them, on average, where it is."""


def simulate_looks(
    design: Design, *, looks: int, studies: int, seed: int, identical: int = 3
) -> Looking:
    """Studies of some identical methods and a better one that get a seed each after every look.

    Args:
        design: with the seeds of the first look.
        looks: at most.
        studies: how many.
        seed: of all of them.
        identical: how many methods are.
    """
    rng = np.random.default_rng(seed)
    schedule = one_more_seed(design.seeds, looks=looks)
    last = replace(design, seeds=design.seeds + looks - 1)
    false = found = 0
    at: list[int] = []
    for _ in range(studies):
        clusters, shared = questions(design, rng)
        usual = shared + part(clusters, TASTE, TASTE_OF_PARAGRAPH, rng)
        other = shared + part(clusters, TASTE, TASTE_OF_PARAGRAPH, rng) + np.float32(MUCH_BETTER)
        worths = {str(n): usual for n in range(identical)} | {"better": other}
        values = {name: scores_of(worth, clusters, last, rng) for name, worth in worths.items()}
        p_values: list[dict[tuple[str, str], float]] = []
        for look in range(looks):
            samples = {n: Sample.of(v[: design.seeds + look], clusters) for n, v in values.items()}
            pairs = {
                (m, n): difference(samples[m], samples[n]) for m, n in combinations(samples, 2)
            }
            p_values.append({pair: d.p_value for pair, d in pairs.items() if d.p_value is not None})
        decisions = decide(p_values, schedule=schedule, alpha=ALPHA)
        wrong = [d.shown for pair, d in decisions.items() if "better" not in pair]
        right = [d for pair, d in decisions.items() if "better" in pair]
        false += any(wrong)
        found += all(decision.shown for decision in right)
        at += [decision.look for decision in right if decision.shown]
    mean = float(np.mean(at)) if at else math.nan
    return Looking(false / studies, found / studies, mean)


def questions(design: Design, rng: np.random.Generator) -> tuple[Clusters, Values]:
    """Which paragraph each question has, and what makes it easy for all methods."""
    sizes = 3 + rng.poisson(design.questions - 3, design.clusters)
    codes = np.repeat(np.arange(design.clusters), sizes)
    clusters = Clusters(codes, sizes.astype(np.float64))
    return clusters, np.float32(MEAN) + part(clusters, QUESTION, PARAGRAPH, rng)


def part(
    clusters: Clusters, of_question: float, of_paragraph: float, rng: np.random.Generator
) -> Values:
    """(N,) normal, a part for every question and one for its paragraph; shares of the variance."""
    return _noise(clusters, 1, of_question, of_paragraph, rng)[0]


def _noise(
    clusters: Clusters, rows: int, of_item: float, of_cluster: float, rng: np.random.Generator
) -> Values:
    values = rng.standard_normal((rows, len(clusters)), dtype=np.float32)
    values *= np.float32(SD * math.sqrt(of_item))
    wide = rng.standard_normal((rows, len(clusters.sizes)), dtype=np.float32)
    values += (np.float32(SD * math.sqrt(of_cluster)) * wide)[:, clusters.codes]
    return values


def scores_of(
    worth: Values, clusters: Clusters, design: Design, rng: np.random.Generator
) -> Values:
    """(S, N) scores of a method."""
    values = _noise(clusters, design.seeds, CHANCE, CHANCE_OF_PARAGRAPH, rng)
    values += worth
    values += rng.normal(0, design.spread / SLOPE, (design.seeds, 1)).astype(np.float32)
    return np.clip(values, 0, 100, out=values)


def _sample(worth: Values, clusters: Clusters, design: Design, rng: np.random.Generator) -> Sample:
    return Sample.of(scores_of(worth, clusters, design, rng), clusters)


def _cut_mean(mean: float, spread: float) -> float:
    """E min(max(Z, 0), 100) for the worth Z of any answer."""
    sd = math.hypot(SD, spread / SLOPE)
    low, high = (0 - mean) / sd, (100 - mean) / sd
    inner = mean * (ndtr(high) - ndtr(low)) - sd * (_density(high) - _density(low))
    return float(inner + 100 * ndtr(-high))


def _density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _holds(found: Interval | Difference, truth: float) -> bool:
    assert found.low is not None and found.high is not None
    return found.low <= truth <= found.high


CLUSTERS = {
    "35 paragraphs": (35, 9.86),
    "1,204 paragraphs": (1204, 9.86),
    "35 articles": (35, 339.2),
}
"""As many as SQuAD 2.0 dev has, and its questions in each."""

SPREADS = (0.0, 0.5, 2.0)


def coverage_table(studies: int) -> Iterator[str]:
    """Lines of markdown."""
    yield (
        "| clusters | seeds | seed spread | score held | difference held | "
        "identical called different | at level 0.5 % |"
    )
    yield "| --- |" + " ---: |" * 6
    for seeds in (3, 2, 5):
        for name, (clusters, questions) in CLUSTERS.items():
            if seeds != 3 and name.endswith("articles"):
                continue
            for spread in SPREADS:
                design = Design(clusters, spread, seeds, questions)
                found = simulate(design, studies=studies, seed=1)
                cells = (found.mean, found.difference, found.false_positives)
                shares = " | ".join(f"{100 * share:.1f} %" for share in cells)
                small = f"{100 * found.false_at_small_level:.2f} %"
                yield f"| {name} | {seeds} | {spread:g} | {shares} | {small} |"


def looks_table(studies: int) -> Iterator[str]:
    """Lines of markdown."""
    yield (
        "| paragraphs | seed spread | any false verdict | better one told from all | "
        "looks until then, mean |"
    )
    yield "|" + " ---: |" * 5
    for clusters in (35, 300):
        for spread in SPREADS[1:]:
            design = Design(clusters, spread)
            found = simulate_looks(design, looks=LOOKS, studies=studies, seed=2)
            yield (
                f"| {clusters} | {spread:g} | {100 * found.false_positives:.1f} % | "
                f"{100 * found.found:.1f} % | {found.looks:.1f} |"
            )


def main() -> None:
    """Print docs/results/statistics.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.statistics.simulation")
    parser.add_argument("--studies", type=int, default=2000, help="of every row")
    studies = parser.parse_args().studies
    error = 100 * math.sqrt(0.95 * 0.05 / studies)
    print("# How often intervals and verdicts hold\n")
    print(f"By `python -m tests.statistics.simulation --studies {studies}`: {studies:,} simulated")
    print("studies a row, with a known truth; nominal: 95 %, 95 %, 5 %, 0.5 %. The Monte-Carlo")
    print(f"error of a share near 5 or 95 % is {error:.1f} %.\n", flush=True)
    for line in coverage_table(studies):
        print(line, flush=True)
    print("\n## Studies that look several times\n")
    print("Three identical methods and one that is 4 points better; 3 seeds at the first look, one")
    print(f"more for all after each; at most {LOOKS} looks; Holm's correction over the 6 pairs. A")
    print("false verdict is one on two identical methods, at any look; nominal: 5 %.\n", flush=True)
    for line in looks_table(studies):
        print(line, flush=True)


if __name__ == "__main__":
    main()
