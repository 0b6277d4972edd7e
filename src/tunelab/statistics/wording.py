"""The sentence of a verdict: who is better, by how much, from how many, and about what."""

from __future__ import annotations

from dataclasses import dataclass

from tunelab.statistics.interval import Difference


@dataclass(frozen=True, slots=True)
class Subject:
    """What a sentence is about."""

    first: str
    second: str
    difference: Difference
    metric: str
    """Its name, also the unit of the difference."""
    unit: str
    """What items are grouped by, in the singular."""
    lower_is_better: bool = False

    @property
    def first_wins(self) -> bool:
        """Whether the first method has the better score."""
        return (self.difference.value > 0) != self.lower_is_better

    def better(self) -> str:
        """That the method with the better score is better, it first, by how much it wins."""
        low, high = self._ends
        winner, loser, value = self.first, self.second, self.difference.value
        if not self.first_wins:
            winner, loser = loser, winner
        if value < 0:
            value, low, high = -value, -high, -low
        by = f"{self._show(value)} {self.metric} [{self._show(low)}, {self._show(high)}]"
        return f"{winner} is better than {loser} by {by} {self._basis}{self._scope}{self._mcnemar}"

    def not_separable(self, detectable: float, *, comparisons: int) -> str:
        """That nothing was shown, and what could have been."""
        low, high = self._ends
        found = "not separable"
        if low > 0 or high < 0:
            found += self._in_spite_of_its_interval(comparisons)
        by = f"{self._show(self.difference.value)} {self.metric} "
        by += f"[{self._show(low)}, {self._show(high)}]"
        able = f"this study can show differences above {self._show(detectable)}"
        subject = f"{self.first} - {self.second} = {by} {self._basis}"
        return f"{found}: {subject}; {able}{self._scope}{self._mcnemar}"

    def no_verdict(self) -> str:
        """That nothing can be said."""
        value = f"{_figure(self.difference.value, 1)} {self.metric}"
        subject = f"{self.first} - {self.second} = {value} {self._basis}"
        return f"no verdict: {subject}, but {self.difference.reason}{self._scope}"

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = self.difference.low, self.difference.high
        assert low is not None and high is not None
        return low, high

    def _show(self, value: float) -> str:
        low, high = self._ends
        return _figure(value, digits_for(high - low))

    def _in_spite_of_its_interval(self, comparisons: int) -> str:
        if comparisons > 1:
            return f" after correction for {comparisons} comparisons"
        return " by McNemar's exact test" if self.difference.by_mcnemar else ""

    @property
    def _basis(self) -> str:
        (a, b), clusters = self.difference.seeds, self.difference.clusters
        seeds = f"{a} {_plural('seed', a)}" if a == b else f"{a} and {b} seeds"
        return f"({seeds}, {clusters:,} {_plural(self.unit, clusters)})"

    @property
    def _scope(self) -> str:
        """With one seed nothing is known about how much another one would differ."""
        alone = "this is about that trained model, not about the method"
        match self.difference.seeds:
            case (1, 1):
                return (
                    "; one seed each: this is about these two trained models, not about the methods"
                )
            case (1, _):
                return f"; one seed of {self.first}: {alone}"
            case (_, 1):
                return f"; one seed of {self.second}: {alone}"
            case _:
                return ""

    @property
    def _mcnemar(self) -> str:
        test = self.difference.mcnemar
        if test is None:
            return ""
        is_so = "has it on" if self.lower_is_better else "is right on"
        caution = "" if self.difference.by_mcnemar else ", as if questions were independent"
        return (
            f"; {self.first} alone {is_so} {test.first_only:,}, {self.second} alone on "
            f"{test.second_only:,} (McNemar's exact test{caution}: p {probability(test.p_value)})"
        )


def probability(value: float) -> str:
    """Two digits that count, with their sign of comparison."""
    return f"= {value:.2g}" if value >= 0.0001 else "< 0.0001"


def digits_for(width: float) -> int:
    """Digits behind the point that an interval of such a width has a use for."""
    return 1 if width >= 0.2 else 2 if width >= 0.02 else 3


def _figure(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
