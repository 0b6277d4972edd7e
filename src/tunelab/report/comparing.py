"""Every pair of methods that was scored on the same items, on every metric, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from tunelab.errors import RecordError, UsageError
from tunelab.evaluation.metric import Units
from tunelab.records.looks import Looks
from tunelab.report.scored import Differences, Scored, Seeds, alike
from tunelab.report.study import Method
from tunelab.statistics import ALPHA, ONCE, Difference, Schedule, Verdict, judge_looks


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict, and the same difference with a wider unit (whole articles) beside it."""

    metric: str
    verdict: Verdict
    units: Units
    by_article: Difference | None
    """By the wider unit; None where the task has none."""
    headline: bool
    """Whether the task's verdicts are about this metric."""
    primary: bool
    """Whether it is the first of them."""

    @property
    def sentence(self) -> str:
        """The verdict, and how it would look with the wider unit."""
        if self.by_article is None:
            return self.verdict.sentence
        low, high = self.by_article.low, self.by_article.high
        if low is None or high is None:
            return self.verdict.sentence
        shown = self.verdict.outcome in ("better", "worse")
        if shown and self.verdict.difference.value < 0:  # then the sentence is about second - first
            low, high = -high, -low
        told = f"{self.verdict.sentence}; by {self.units.wider} [{low:.1f}, {high:.1f}]"
        doubtful = shown and low <= 0 <= high
        return told + (", which holds 0" if doubtful else "")

    def document(self) -> dict[str, Any]:
        """All its numbers, for comparisons.json."""
        found, decision = self.verdict.difference, self.verdict.decision
        return {
            "first": self.verdict.first,
            "second": self.verdict.second,
            "metric": self.metric,
            "outcome": self.verdict.outcome,
            "sentence": self.sentence,
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "standard_error": found.standard_error,
            "degrees_of_freedom": found.degrees_of_freedom,
            "p_value": found.p_value,
            "p_value_holm": self.verdict.adjusted_p,
            "level": decision and decision.level,
            "look": decision and decision.look,
            "detectable": self.verdict.detectable,
            "mcnemar": found.mcnemar and asdict(found.mcnemar),
            "seeds": list(found.seeds),
            "items": found.items,
            "paragraphs": found.clusters,
            "by_article": self.by_article
            and {
                "low": self.by_article.low,
                "high": self.by_article.high,
                "articles": self.by_article.clusters,
            },
        }


def compare_all(methods: Sequence[Method], looks: Looks | None = None) -> list[Comparison]:
    """All pairs with finished runs on the same items, metric by metric, the primary one first.

    Holm's correction is over the pairs of one metric. In a study that looked several times it is
    for that too, and every pair is judged by what there was at the looks.
    """
    groups = [group for group in alike(methods) if len(group) > 1]
    return [found for name in spoken_names(methods) for found in _compare(groups, name, looks)]


def primary_verdicts(methods: Sequence[Method], looks: Looks) -> list[Verdict]:
    """What the looks so far say on the primary metric, which a study stops by."""
    groups = [group for group in alike(methods) if len(group) > 1]
    names = list(spoken_names(methods))
    return [found.verdict for found in _compare(groups, names[0], looks)] if names else []


def spoken_names(methods: Sequence[Method]) -> dict[str, str]:
    """Name in scores.json -> spoken name of all metrics; the first one is the primary one."""
    return {
        name: each.metrics[name].spoken
        for each in (method.measured for method in methods)
        if each
        for name in (*each.headline, *each.metrics)
    }


def not_compared(methods: Sequence[Method]) -> list[str]:
    """A sentence on every pair of finished methods that was scored on different items."""
    return [
        f"{first.label} and {second.label} are not compared, they were scored on different items: "
        f"{first.items.against(second.items)}"
        for first, second in combinations([m for m in methods if m.finished], 2)
        if first.items is not None and second.items is not None and first.items != second.items
    ]


def refuse_unfinished(methods: Sequence[Method]) -> None:
    """Raise unless every method has a finished run, and none a damaged one."""
    for method in methods:
        for run in method.runs:
            if run.damage:
                raise RecordError(f"{run.directory.path.name} is damaged. {run.message}")
        if not method.finished:
            states = ", ".join(run.status for run in method.runs) or "missing"
            raise UsageError(
                f"'{method.label}' cannot be compared: no run of it is finished ({states}).",
                hint="`tunelab run` with its recipe continues it.",
            )


def refuse_different_items(methods: Sequence[Method]) -> None:
    """Raise a `UsageError` unless all methods were scored on the same items."""
    for sentence in not_compared(methods):
        raise UsageError(
            f"{sentence}.",
            hint="Run both with the same task, task.test and task.test_limit, or compare them on "
            "the items they share with --intersection.",
        )


def _compare(
    groups: Sequence[Sequence[Method]], metric: str, looks: Looks | None
) -> list[Comparison]:
    """Verdicts on the pairs whose task has this metric."""
    scored = [
        Scored.of(group, metric)
        for group in groups
        if all(_has(method, metric) for method in group)
    ]
    if not scored:
        return []
    taken: Sequence[Seeds | None] = [look.seeds for look in looks.looks] if looks else []
    taken = taken or [None]  # before the first look: all that is there, at that look's level
    by_group = [_differences(scored, seeds, wider=False) for seeds in taken]
    by_wider = [_differences(scored, seeds, wider=True) for seeds in taken]
    measured = scored[0].measured
    verdicts = judge_looks(
        [[(*pair, found) for pair, found in look.items()] for look in by_group],
        schedule=Schedule(looks.times) if looks else ONCE,
        metric=measured.metrics[metric].spoken,
        unit=measured.units.group,
        alpha=looks.alpha if looks else ALPHA,
        lower_is_better=measured.metrics[metric].lower_is_better,
    )
    return [
        Comparison(
            metric,
            verdict,
            measured.units,
            by_wider[verdict.decision.look - 1 if verdict.decision else -1].get(verdict.pair),
            headline=metric in measured.headline,
            primary=metric == measured.headline[0],
        )
        for verdict in verdicts
    ]


def _has(method: Method, metric: str) -> bool:
    return all(run.measured and metric in run.measured.metrics for run in method.finished)


def _differences(scored: Sequence[Scored], seeds: Seeds | None, *, wider: bool) -> Differences:
    found: Differences = {}
    for group in scored:
        found |= group.differences(seeds, wider=wider)
    return found
