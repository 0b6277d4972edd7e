"""What published shares of questions say by themselves: intervals, and what a difference needs.

A share is all that a table gives. So intervals take every question by itself (Wilson, 95 %), which
is too narrow where several share a paragraph, and differences are those of two independent
samples. Where both rows answered the same questions, the saved answers would tell more: a
difference of k questions is separable by McNemar's test if at most (k / 1.96)^2 questions are right
in one row and wrong in the other. Whether they were is not in the table; that number is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""95 %, both sides."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many questions."""

    right: int
    count: int

    @property
    def points(self) -> float:
        return 100 * self.right / self.count

    def interval(self) -> tuple[float, float]:
        """Wilson's, in points."""
        from scipy.stats import binomtest

        found = binomtest(self.right, self.count).proportion_ci(0.95, method="wilson")
        return 100 * found.low, 100 * found.high

    def told(self, decimals: int = 1) -> str:
        """The share and its interval, as a cell."""
        low, high = self.interval()
        return f"{self.points:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def share(percent: str | float, count: int) -> Share:
    """The share that a printed percentage of so many questions stands for."""
    return Share(round(float(percent) * count / 100), count)


@dataclass(frozen=True, slots=True)
class Difference:
    """One share minus another, of samples taken as independent."""

    first: Share
    second: Share

    @property
    def points(self) -> float:
        return self.first.points - self.second.points

    @property
    def half_width(self) -> float:
        """Of the 95 % interval, in points."""
        parts = ((each.points, each.count) for each in (self.first, self.second))
        return Z * math.sqrt(sum(p * (100 - p) / n for p, n in parts))

    @property
    def separable(self) -> bool:
        return abs(self.points) > self.half_width

    @property
    def allowed_changes(self) -> int | None:
        """Questions that may be right in one row alone, for the difference to be separable paired.

        None where the rows are not about the same number of questions.
        """
        if self.first.count != self.second.count:
            return None
        return math.floor((abs(self.first.right - self.second.right) / Z) ** 2)

    def told(self, unit: str, decimals: int = 1) -> str:
        """The difference and what may be said of it."""
        low, high = self.points - self.half_width, self.points + self.half_width
        d = decimals
        told = f"{self.points:+.{d}f} {unit} [{low:+.{d}f}, {high:+.{d}f}]"
        if self.separable:
            return f"{told}: separable, even unpaired"
        told += ": not separable unpaired"
        changes, least = self.allowed_changes, abs(self.first.right - self.second.right)
        if changes is None:
            return told
        if changes < least:
            return f"{told}, nor paired, whatever was answered"
        part = 100 * changes / self.first.count
        return (
            f"{told}; paired, if at most {changes:,} of the {self.first.count:,} questions "
            f"({part:.1f} %) changed between right and wrong"
        )
