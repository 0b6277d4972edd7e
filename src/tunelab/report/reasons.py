"""Why a run scores: what remains without the right context, and whether the test set was known.

From the files of the runs; empty for runs whose recipe did not ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunelab.evaluation.ablations import Ablation
from tunelab.evaluation.contamination import CONVENTION, OrderTest, order_test
from tunelab.report.study import Method, Run
from tunelab.statistics import Interval, mean_interval

_WITHOUT: dict[Ablation, str] = {
    "question-only": "without the context",
    "shuffled-context": "with the context of another paragraph",
}

ANSWERED = "HasAns_f1"
"""Told beside the primary metric: an abstention earns nothing in it."""

MEANING = (
    "What remains: the same items and gold answers, the same model and threshold, another context. "
    "An abstention is right where there is no answer, so the figure of the questions that have one "
    "says more.",
)
ORDER_MEANING = (
    f"Order of the test set: {CONVENTION}; not corrected for the number of runs.",
    "A low p value shows that the model prefers that order: it met the set in training, or it "
    "guesses how people order questions; compare with a model that cannot have met it. A high one "
    "clears no model: a set met in another order, or seldom, leaves no such trace.",
)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a method's score under an ablation."""

    label: str
    ablation: Ablation
    spoken: str
    whole: Interval
    rest: Interval

    @property
    def sentence(self) -> str:
        """Such as: lora-r8: 12.3 [10.1, 14.5] of 64.0 F1 remain without the context."""
        value, low, high = self.rest.value, self.rest.low, self.rest.high
        interval = "" if low is None or high is None else f" [{low:.1f}, {high:.1f}]"
        return (
            f"{self.label}: {value:.1f}{interval} of {self.whole.value:.1f} {self.spoken} remain "
            f"{_WITHOUT[self.ablation]}"
        )


def remainders(methods: Sequence[Method]) -> list[Remainder]:
    """Every method, every ablation that all its finished runs have."""
    return [
        found
        for method in methods
        if method.finished
        for ablation in _shared(method.finished)
        for found in _remainders(method, ablation)
    ]


def order_tests(methods: Sequence[Method]) -> list[tuple[Run, OrderTest]]:
    """The finished runs whose recipe asks for it."""
    return [
        (run, order_test(run.order))
        for method in methods
        for run in method.finished
        if run.order is not None
    ]


def reason_lines(methods: Sequence[Method]) -> list[str]:
    """One sentence a finding; empty where no run was asked."""
    tests = [_order_sentence(run, test) for run, test in order_tests(methods)]
    return [*(found.sentence for found in remainders(methods)), *tests]


def reasons_meaning(methods: Sequence[Method]) -> list[str]:
    """What the findings can show."""
    return [
        *(MEANING if remainders(methods) else ()),
        *(ORDER_MEANING if order_tests(methods) else ()),
    ]


def reasons_document(methods: Sequence[Method]) -> dict[str, Any]:
    """For comparisons.json."""
    return {
        "ablations": [
            {
                "method": found.label,
                "ablation": found.ablation,
                "metric": found.spoken,
                "whole": found.whole.value,
                "remains": found.rest.value,
                "low": found.rest.low,
                "high": found.rest.high,
            }
            for found in remainders(methods)
        ],
        "order_of_test_set": [
            {
                "run": run.directory.path.name,
                "convention": CONVENTION,
                "p_value": test.p_value,
                "t": test.t,
                "paragraphs": test.shards,
                "questions": test.items,
                "gain_nats_per_question": test.gain,
            }
            for run, test in order_tests(methods)
        ],
    }


def _shared(runs: Sequence[Run]) -> list[Ablation]:
    return [name for name in runs[0].ablated if all(name in run.ablated for run in runs)]


def _remainders(method: Method, ablation: Ablation) -> list[Remainder]:
    """The primary metric, and that of the questions that have an answer."""
    items = method.items
    assert items is not None
    measured = [run.ablated[ablation] for run in method.finished]
    found: list[Remainder] = []
    for name in dict.fromkeys((measured[0].headline[0], ANSWERED)):
        if name not in measured[0].metrics:
            continue
        about, whole = method.scores(name)
        rest = np.stack([each.metrics[name].values for each in measured])
        groups = [group for group, wanted in zip(items.groups, about, strict=True) if wanted]
        found.append(
            Remainder(
                method.label,
                ablation,
                measured[0].metrics[name].spoken,
                mean_interval(whole[:, about], groups).within(0, 100),
                mean_interval(rest[:, about], groups).within(0, 100),
            )
        )
    return found


def _order_sentence(run: Run, test: OrderTest) -> str:
    name = f"{run.manifest.label} seed {run.recipe.seed}"
    about = f"{test.items:,} questions of {test.shards:,} paragraphs"
    if test.p_value is None:
        return f"{name}: the order of the test set cannot be tested on {about}"
    figures = f"p = {test.p_value:.2g}, {test.gain:+.3f} nats a question, {about}"
    if test.p_value < _NOTABLE:
        return f"{name} prefers the published order of the test set: {figures}"
    return f"{name} shows no preference for the published order of the test set: {figures}"


_NOTABLE = 0.05
