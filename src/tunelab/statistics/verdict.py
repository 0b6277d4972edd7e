"""From differences to sentences: corrected for their number, and never more than was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunelab.statistics.interval import Difference

Outcome = Literal["better", "worse", "not separable", "no interval"]
"""Of the first method against the second."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a study says about two methods on one metric."""

    first: str
    second: str
    metric: str
    difference: Difference
    adjusted_p: float | None
    """After Holm's correction over all pairs of the metric."""
    outcome: Outcome
    sentence: str


def judge(
    pairs: Sequence[tuple[str, str, Difference]],
    *,
    metric: str,
    unit: str = "paragraph",
    alpha: float = 0.05,
) -> list[Verdict]:
    """Verdicts on all pairs of one metric, corrected for their number.

    Args:
        pairs: the names of both methods and their difference.
        metric: its name in sentences, such as F1; also the unit of the differences.
        unit: what the items are grouped by, in the singular.
        alpha: chance of calling any two identical methods different.
    """
    tested = [pair for pair in pairs if pair[2].p_value is not None]
    adjusted = iter(holm([d.p_value for _, _, d in tested if d.p_value is not None]))
    verdicts: list[Verdict] = []
    for first, second, difference in pairs:
        p = None if difference.p_value is None else next(adjusted)
        outcome = _outcome(difference, p, alpha)
        sentence = _sentence(
            first, second, difference, outcome, metric, unit, comparisons=len(tested)
        )
        verdicts.append(Verdict(first, second, metric, difference, p, outcome, sentence))
    return verdicts


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the chance of any false finding (Holm 1979, Scand. J. Stat. 6).

    The k-th smallest of n is multiplied by n - k + 1, and none falls below a smaller one.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _outcome(difference: Difference, adjusted_p: float | None, alpha: float) -> Outcome:
    if adjusted_p is None:
        return "no interval"
    if adjusted_p >= alpha:
        return "not separable"
    return "better" if difference.value > 0 else "worse"


def _sentence(
    first: str,
    second: str,
    difference: Difference,
    outcome: Outcome,
    metric: str,
    unit: str,
    *,
    comparisons: int,
) -> str:
    basis = _basis(difference, unit)
    scope = _scope(first, second, difference)
    low, high, detectable = difference.low, difference.high, difference.detectable
    if low is None or high is None or detectable is None:
        subject = f"{first} - {second} = {_figure(difference.value)} {metric}"
        return f"no verdict: {subject} {basis}, but {difference.reason}{scope}"
    digits = 1 if high - low >= 0.2 else 2

    def show(value: float) -> str:
        return _figure(value, digits)

    match outcome:
        case "better":
            by = f"{show(difference.value)} {metric} [{show(low)}, {show(high)}]"
            return f"{first} is better than {second} by {by} {basis}{scope}"
        case "worse":
            by = f"{show(-difference.value)} {metric} [{show(-high)}, {show(-low)}]"
            return f"{second} is better than {first} by {by} {basis}{scope}"
        case _:
            away = low > 0 or high < 0
            found = (
                f"not separable after correction for {comparisons} comparisons"
                if away
                else ("not separable")
            )
            by = f"{show(difference.value)} {metric} [{show(low)}, {show(high)}]"
            able = f"this study can show differences above {show(detectable)}"
            return f"{found}: {first} - {second} = {by} {basis}; {able}{scope}"


def _basis(difference: Difference, unit: str) -> str:
    a, b = difference.seeds
    seeds = f"{a} {_plural('seed', a)}" if a == b else f"{a} and {b} seeds"
    return f"({seeds}, {difference.clusters:,} {_plural(unit, difference.clusters)})"


def _scope(first: str, second: str, difference: Difference) -> str:
    """With one seed nothing is known about how much another one would differ."""
    match difference.seeds:
        case (1, 1):
            return "; one seed each: this is about these two trained models, not about the methods"
        case (1, _):
            return f"; one seed of {first}: this is about that trained model, not about the method"
        case (_, 1):
            return f"; one seed of {second}: this is about that trained model, not about the method"
        case _:
            return ""


def _figure(value: float, digits: int = 1) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
