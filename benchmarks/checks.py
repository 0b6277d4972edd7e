"""Whether two trainings did the same: without that, a comparison of their speed is void."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

STANDARD_ERRORS = 3.0


@dataclass(frozen=True, slots=True)
class PerStep:
    """The losses of every step agree: both compute the same numbers, but for rounding."""

    tolerance: float


@dataclass(frozen=True, slots=True)
class WithinNoise:
    """The mean losses of the second half agree within three standard errors of their difference.

    Steps are paired, since both see the same examples in a step; standard errors are taken over
    steps. A check that cannot fail is none: it does not hold either where three standard errors
    are more than `resolution` of the loss, or where the loss did not fall.
    """

    resolution: float
    rounding: float = 0.0
    """Share of the loss that the order of additions alone may make, whatever the noise."""


Check = PerStep | WithinNoise


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check went."""

    held: bool
    found: str


def judge(check: Check, first: Sequence[float], second: Sequence[float]) -> Verdict:
    """Compare two loss curves, one loss per step."""
    match check:
        case PerStep():
            return _per_step(check, first, second)
        case WithinNoise():
            return _within_noise(check, first, second)
        case _:
            assert_never(check)


def _per_step(check: PerStep, first: Sequence[float], second: Sequence[float]) -> Verdict:
    largest = max(abs(a - b) for a, b in zip(first, second, strict=True))
    return Verdict(
        largest <= check.tolerance,
        f"losses of {len(first)} steps differ by at most {largest:.1e} "
        f"(allowed {check.tolerance:.0e})",
    )


def _within_noise(check: WithinNoise, first: Sequence[float], second: Sequence[float]) -> Verdict:
    half = len(first) // 2
    differences = [b - a for a, b in zip(first, second, strict=True)][half:]
    means = statistics.fmean(first[half:]), statistics.fmean(second[half:])
    difference = statistics.fmean(differences)
    noise = STANDARD_ERRORS * statistics.stdev(differences) / math.sqrt(len(differences))
    fell = all(
        mean < statistics.fmean(curve[: max(1, half // 4)])
        for mean, curve in zip(means, (first, second), strict=True)
    )
    allowed = max(noise, check.rounding * means[0])
    return Verdict(
        abs(difference) <= allowed and noise <= check.resolution * means[0] and fell,
        f"mean loss of the last {len(differences)} steps {means[0]:.3f} and {means[1]:.3f}, "
        f"difference {difference:+.4f}, allowed ±{allowed:.4f}"
        + ("" if fell else "; it did not fall"),
    )
