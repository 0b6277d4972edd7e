"""Whether two of lm-eval's model classes said the same, item by item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

ALLOWED = 1e-4
"""Between two log-probabilities of continuations in float32."""
OF_TEXTS = 4 * 2.0**-23
"""Of whole texts, as a share of a sum of thousands that `hf` adds up in float32."""


@dataclass(frozen=True, slots=True)
class Equality:
    """What a comparison of samples found."""

    requests: int
    largest: float
    """Difference of two log-probabilities; of whole texts scaled to what is ALLOWED."""
    apart: int
    """Requests whose answers differ by more, or whose texts differ."""
    close: int
    """Items whose metrics differ, all because two choices lie within ALLOWED."""
    unexplained: int
    """Items whose metrics differ otherwise."""

    @property
    def held(self) -> bool:
        """Whether the two said the same."""
        return self.apart == 0 and self.unexplained == 0

    @property
    def told(self) -> str:
        """In words."""
        return (
            f"{self.requests} requests, largest difference {self.largest:.1e}, {self.apart} beyond "
            f"{ALLOWED:.0e}; metrics of {self.close} items differ where two choices lie within "
            f"that, of {self.unexplained} elsewhere"
        )


def compare_samples(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> Equality:
    """Compare what lm-eval logged for a task under two model classes."""
    requests = apart = close = unexplained = 0
    largest = 0.0
    for one, other in zip(first, second, strict=True):
        values: list[float] = []
        for (said,), (found,) in zip(one["resps"], other["resps"], strict=True):
            requests += 1
            if isinstance(said, str):
                apart += said != found
                continue
            rolling = isinstance(said, float)
            a, b = (said, found) if rolling else (said[0], found[0])
            difference = abs(a - b) * (ALLOWED / (OF_TEXTS * abs(a)) if rolling else 1.0)
            largest = max(largest, difference)
            apart += difference > ALLOWED
            values.append(a)
        if any(not _equal(one[metric], other[metric]) for metric in one["metrics"]):
            nearest = min((b - a for a, b in pairwise(sorted(values))), default=math.inf)
            if nearest <= 2 * ALLOWED:
                close += 1
            else:
                unexplained += 1
    return Equality(requests, largest, apart, close, unexplained)


def _equal(first: object, second: object) -> bool:
    """Metrics of an item: numbers, or pairs of a log-probability and a count."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return all(_equal(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=1e-5, abs_tol=ALLOWED)
    return first == second
