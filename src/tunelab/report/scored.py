"""One metric of all methods that were scored on the same items, summed up for comparing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tunelab.evaluation.metric import Measured
from tunelab.metrics.squad import Floats
from tunelab.report.study import Method
from tunelab.statistics import Clusters, Difference, Sample, difference

Seeds = Mapping[str, Sequence[int]]
"""Label -> the seeds that count; methods without any are left out."""

Differences = dict[tuple[str, str], Difference]


@dataclass(frozen=True, slots=True)
class Scored:
    """The values that a metric has on the items it is about."""

    measured: Measured
    values: dict[str, dict[int, Floats]]
    """Label -> seed -> (N,) in points."""
    groups: Clusters
    wider: Clusters | None
    """Of the wider unit; None where the task has none."""

    @classmethod
    def of(cls, methods: Sequence[Method], metric: str) -> Scored:
        """Of methods with finished runs on the same items."""
        items, measured = methods[0].items, methods[0].measured
        assert items is not None and measured is not None
        abouts = [
            run.measured.metrics[metric].about
            for method in methods
            for run in method.finished
            if run.measured
        ]
        about = np.logical_and.reduce(abouts)  # a text may be too long for one model alone
        wanted = about.nonzero()[0]
        return cls(
            measured,
            {
                method.label: {
                    run.recipe.seed: run.measured.metrics[metric].values[about]
                    for run in method.finished
                    if run.measured
                }
                for method in methods
            },
            Clusters.of([items.groups[index] for index in wanted]),
            Clusters.of([items.articles[index] for index in wanted])
            if measured.units.wider
            else None,
        )

    def differences(self, seeds: Seeds | None, *, wider: bool = False) -> Differences:
        """First minus second, of all pairs, with the seeds that count; None: all of them."""
        clusters = self.wider if wider else self.groups
        if clusters is None:
            return {}
        samples = {
            label: Sample.of([values[seed] for seed in counted], clusters)
            for label, values in self.values.items()
            if (counted := _counted(values, None if seeds is None else seeds.get(label, ())))
        }
        return {
            (first, second): difference(samples[first], samples[second])
            for first, second in combinations(samples, 2)
        }


def _counted(finished: Iterable[int], seeds: Sequence[int] | None) -> list[int]:
    """The seeds of finished runs that count."""
    return [seed for seed in finished if seeds is None or seed in seeds]


def alike(methods: Sequence[Method]) -> list[list[Method]]:
    """Methods with finished runs, by the items that they were scored on."""
    groups: list[list[Method]] = []
    for method in methods:
        group = next((group for group in groups if group[0].items == method.items), None)
        if not method.finished:
            continue
        if group is None:
            groups.append([method])
        else:
            group.append(method)
    return groups
