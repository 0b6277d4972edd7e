"""A metric as values of items, and the metrics of a task. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tunelab.metrics.squad import Floats, Mask


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure as values of N items."""

    spoken: str
    """Its name in tables and sentences, such as EM."""
    about: Mask
    """(N,) the items that the figure is about, at least one."""
    values: Floats
    """(N,) in the unit of tables: points, unless `scale` says otherwise."""
    scale: float = 100.0
    """The mean over `about` is so many times the figure of scores.json; 1: it is that figure."""
    lower_is_better: bool = False

    @property
    def mean(self) -> float:
        """The figure, in the unit of tables."""
        return float(self.values[self.about].mean())

    @property
    def figure(self) -> float:
        """The figure of scores.json."""
        return self.mean / self.scale

    @property
    def highest(self) -> float:
        """The highest value that it can have, in the unit of tables."""
        return 100.0 if self.scale == 100.0 else math.inf


@dataclass(frozen=True, slots=True)
class Units:
    """What the items of a task are grouped by, in the singular."""

    group: str
    """The unit of resampling: items of one group are not independent."""
    wider: str | None = None
    """A larger one, for an interval beside it; None where there is none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of a task on some predictions, in their order."""

    task: str
    """Its name in scores.json."""
    convention: str
    """Whose definitions the metrics follow."""
    units: Units
    metrics: dict[str, Metric]
    """By their names in scores.json, in the order of tables."""
    headline: tuple[str, ...]
    """What verdicts speak of; the first is the primary metric."""
    figures: dict[str, float]
    """The values that scores.json holds for these predictions."""
    beside: dict[str, Metric] = field(default_factory=dict)
    """Further metrics, which stand in scores.json alone."""
