"""Which degrees of freedom a sum of two variances should have: computed, not simulated.

The variance of an estimate is P + B. P, of many paragraphs, is taken for known; B is estimated from
a few seeds, as a multiple of chi-square with `seeds_df` degrees of freedom. How often an interval
then holds the truth is an integral over that distribution.

    python -m tests.statistics.freedom        prints the share held, by rule and ratio of B to P
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, stdtrit

from tunelab.statistics.variance import Variance

Floats = NDArray[np.float64]

MANY = 1e6
"""Degrees of freedom of what is known."""
POINTS = 400
"""Equally likely values of chi-square that stand for all."""
RATIOS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def used(seeds: Floats, df: float, probability: float) -> Floats:
    """The quantile of `Variance`."""
    freedom = [Variance(1.0, MANY, float(b), df).degrees_of_freedom for b in seeds]
    return stdtrit(np.array(freedom), probability)


def satterthwaite(seeds: Floats, df: float, probability: float) -> Floats:
    """One t whose degrees of freedom are weighted by the squares of the parts."""
    return stdtrit((1 + seeds) ** 2 / (1 / MANY + seeds**2 / df), probability)


def cochran(seeds: Floats, df: float, probability: float) -> Floats:
    """The mean of both parts' quantiles, weighted by the parts (Biometrics 20, 191-195)."""
    known, few = stdtrit(MANY, probability), stdtrit(df, probability)
    return (known + seeds * few) / (1 + seeds)


RULES: dict[str, Callable[[Floats, float, float], Floats]] = {
    "Satterthwaite": satterthwaite,
    "Cochran": cochran,
    "used": used,
}


def held(rule: str, *, seeds_df: float, ratio: float, level: float = 0.95) -> float:
    """The share of studies whose interval holds the truth, where B is `ratio` times P = 1."""
    chances = (np.arange(POINTS) + 0.5) / POINTS
    seeds = ratio * 2 * gammaincinv(seeds_df / 2, chances) / seeds_df
    critical = RULES[rule](seeds, seeds_df, (1 + level) / 2)
    z = critical * np.sqrt((1 + seeds) / (1 + ratio))
    return float((2 * ndtr(z) - 1).mean())


def main() -> None:
    """Print the table."""
    print("| rule | degrees of freedom of seeds | B / P = " + " | ".join(map(str, RATIOS)) + " |")
    print("| --- |" + " ---: |" * (1 + len(RATIOS)))
    for df in (1, 2, 4, 8):
        for rule in RULES:
            shares = [f"{100 * held(rule, seeds_df=df, ratio=ratio):.1f}" for ratio in RATIOS]
            print(f"| {rule} | {df} | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    main()
