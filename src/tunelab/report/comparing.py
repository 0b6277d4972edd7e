"""Every pair of methods that was scored on the same items, on every metric, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tunelab.errors import UsageError
from tunelab.report.study import Method
from tunelab.statistics import Difference, Verdict, judge, paired_difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict, and the same difference with whole articles as the unit beside it."""

    metric: str
    verdict: Verdict
    by_article: Difference

    @property
    def sentence(self) -> str:
        """The verdict, and how it would look with whole articles as the unit."""
        low, high = self.by_article.low, self.by_article.high
        if low is None or high is None:
            return self.verdict.sentence
        if self.verdict.outcome == "worse":  # then the sentence is about second - first
            low, high = -high, -low
        told = f"{self.verdict.sentence}; by article [{low:.1f}, {high:.1f}]"
        doubtful = self.verdict.outcome in ("better", "worse") and low <= 0 <= high
        return told + (", which holds 0" if doubtful else "")

    def document(self) -> dict[str, Any]:
        """All its numbers, for comparisons.json."""
        found = self.verdict.difference
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
            "detectable": found.detectable,
            "seeds": list(found.seeds),
            "items": found.items,
            "paragraphs": found.clusters,
            "by_article": {
                "low": self.by_article.low,
                "high": self.by_article.high,
                "articles": self.by_article.clusters,
            },
        }


SPOKEN = {
    "exact_match": "EM",
    "exact": "EM",
    "f1": "F1",
    "HasAns_exact": "HasAns EM",
    "HasAns_f1": "HasAns F1",
    "NoAns_exact": "NoAns EM",
    "NoAns_f1": "NoAns F1",
}
"""Official name -> its name in sentences."""


def compare_all(methods: Sequence[Method]) -> list[Comparison]:
    """All pairs with finished runs on the same items, metric by metric, F1 first.

    Holm's correction is over the pairs of one metric.
    """
    pairs = [
        (first, second)
        for first, second in combinations([m for m in methods if m.finished], 2)
        if first.items == second.items
    ]
    metrics = list(dict.fromkeys(name for pair in pairs for name in pair[0].finished[0].scores))
    metrics.sort(key=lambda name: (name != "f1", name.startswith(("Has", "No"))))
    return [comparison for metric in metrics for comparison in _compare(pairs, metric)]


def not_compared(methods: Sequence[Method]) -> list[str]:
    """A sentence on every pair of finished methods that was scored on different items."""
    return [
        f"{first.label} and {second.label} are not compared, they were scored on different items: "
        f"{first.items.against(second.items)}"
        for first, second in combinations([m for m in methods if m.finished], 2)
        if first.items is not None and second.items is not None and first.items != second.items
    ]


def refuse_different_items(methods: Sequence[Method]) -> None:
    """Raise a `UsageError` unless all methods are finished and scored on the same items."""
    for method in methods:
        if not method.finished:
            states = ", ".join(run.manifest.status for run in method.runs)
            raise UsageError(
                f"'{method.label}' cannot be compared: no run of it is finished ({states}).",
                hint="`tunelab run` with its recipe continues it.",
            )
    for sentence in not_compared(methods):
        raise UsageError(
            f"{sentence}.",
            hint="Run both with the same task.test, task.test_limit and task.version.",
        )


def _compare(pairs: Sequence[tuple[Method, Method]], metric: str) -> list[Comparison]:
    by_paragraph: list[tuple[str, str, Difference]] = []
    by_article: list[Difference] = []
    for first, second in pairs:
        items = first.items
        assert items is not None
        about, a = first.scores(metric)
        _, b = second.scores(metric)
        groups = [group for group, wanted in zip(items.groups, about, strict=True) if wanted]
        articles = [name for name, wanted in zip(items.articles, about, strict=True) if wanted]
        a, b = a[:, about], b[:, about]
        by_paragraph.append((first.label, second.label, paired_difference(a, b, groups)))
        by_article.append(paired_difference(a, b, articles))
    verdicts = judge(by_paragraph, metric=SPOKEN.get(metric, metric))
    return [
        Comparison(metric, verdict, article)
        for verdict, article in zip(verdicts, by_article, strict=True)
    ]
