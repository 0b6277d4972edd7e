"""From differences to verdicts: corrected for their number, and never more than was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tunelab.statistics.correction import Decision, decide, holm
from tunelab.statistics.interval import Difference
from tunelab.statistics.looks import ONCE, Schedule
from tunelab.statistics.wording import Subject, probability

Outcome = Literal["better", "worse", "not separable", "no interval"]
"""Of the first method against the second."""

ALPHA = 0.05
"""Chance of calling any two identical methods different, over all pairs of a metric."""

Compared = tuple[str, str, Difference]
"""The names of two methods, and their difference."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a study says about two methods on one metric."""

    first: str
    second: str
    metric: str
    difference: Difference
    """At the look that decided, or the last one. In a study of several looks its interval has the
    level of that look, so that the intervals of all looks hold together."""
    outcome: Outcome
    sentence: str
    adjusted_p: float | None = None
    """After Holm's correction over all pairs of the metric; None in a study of several looks."""
    decision: Decision | None = None
    """At which look, and at which level after all corrections; None without an interval."""
    detectable: float | None = None
    """The true difference that such a study would show at that level in 80 of 100 cases."""

    @property
    def pair(self) -> tuple[str, str]:
        """Both names."""
        return self.first, self.second


def judge(
    pairs: Sequence[Compared],
    *,
    metric: str,
    unit: str = "paragraph",
    alpha: float = ALPHA,
    lower_is_better: bool = False,
) -> list[Verdict]:
    """Verdicts on all pairs of one metric, corrected for their number.

    Args:
        pairs: the names of both methods and their difference.
        metric: its name in sentences, such as F1; also the unit of the differences.
        unit: what the items are grouped by, in the singular.
        alpha: chance of calling any two identical methods different.
        lower_is_better: whether the metric counts what should not be.
    """
    return judge_looks(
        [pairs],
        schedule=ONCE,
        metric=metric,
        unit=unit,
        alpha=alpha,
        lower_is_better=lower_is_better,
    )


def judge_looks(
    looks: Sequence[Sequence[Compared]],
    *,
    schedule: Schedule,
    metric: str,
    unit: str = "paragraph",
    alpha: float = ALPHA,
    lower_is_better: bool = False,
) -> list[Verdict]:
    """Verdicts on the pairs of the last look, corrected for the number of looks too.

    Args:
        looks: the differences as they were at each look that was taken.
        schedule: of the looks that were planned, as many or more.
        metric: as in `judge`.
        unit: as in `judge`.
        alpha: as in `judge`, over all looks together.
        lower_is_better: as in `judge`.
    """
    found = [{(first, second): d for first, second, d in pairs} for pairs in looks]
    p_values = [
        {pair: d.p_value for pair, d in look.items() if d.p_value is not None} for look in found
    ]
    decisions = decide(p_values, schedule=schedule, alpha=alpha)
    last_p = p_values[-1] if len(schedule.times) == 1 else {}
    adjusted = dict(zip(last_p, holm(list(last_p.values())), strict=True))
    verdicts: list[Verdict] = []
    for first, second, last in looks[-1]:
        decision = decisions.get((first, second))
        if decision is None:
            told = Subject(first, second, last, metric, unit, lower_is_better).no_verdict()
            verdicts.append(Verdict(first, second, metric, last, "no interval", told))
            continue
        level = schedule.level(decision.look, alpha)
        deciding = found[decision.look - 1][first, second].at(1 - level)
        subject = Subject(first, second, deciding, metric, unit, lower_is_better)
        verdict = _verdict(subject, decision, schedule, comparisons=len(decisions))
        verdicts.append(replace(verdict, adjusted_p=adjusted.get((first, second))))
    return verdicts


def _verdict(
    subject: Subject, decision: Decision, schedule: Schedule, *, comparisons: int
) -> Verdict:
    found = subject.difference
    detectable = found.at(1 - decision.level).detectable
    assert detectable is not None
    if decision.shown:
        outcome, told = "better" if subject.first_wins else "worse", subject.better()
    else:
        outcome = "not separable"
        told = subject.not_separable(detectable, comparisons=comparisons)
    if len(schedule.times) > 1:
        told += f"; {_looked(decision, len(schedule.times))}"
    return Verdict(
        subject.first,
        subject.second,
        subject.metric,
        found,
        outcome,
        told,
        decision=decision,
        detectable=detectable,
    )


def _looked(decision: Decision, planned: int) -> str:
    """When it was shown, or that it is still open."""
    state = "shown at" if decision.shown else "open after"
    level = probability(decision.level).removeprefix("= ")
    return f"{state} look {decision.look} of at most {planned} (level {level})"
