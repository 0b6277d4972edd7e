"""From figures to places on a picture, and which figures stand at its edges.

A scale is linear, or logarithmic where values differ by more than `_WIDE`; then what is not above
zero stands at its beginning. Ticks are round in their own unit: minutes, mebibytes, counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDE = 8
_MOST_TICKS = 6
_BETWEEN = 52
"""Pixels between two ticks that are labelled."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What an axis shows: its name, its round values, and how a value is told."""

    name: str
    steps: tuple[float, ...]
    """Distances between ticks; also the ticks of a logarithmic scale."""
    show: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where a value stands, in pixels."""
        if self.logarithmic:
            if value <= self.low:
                return self.start
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def cost_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Linear if the values are alike, from zero unless they are far from it; else logarithmic."""
    above = [value for value in values if value > 0]
    if not above:
        return Scale(0, 1, start, end)
    if max(above) > _WIDE * min(above) or len(above) < len(values):
        return Scale(min(above) / 1.6, max(above) * 1.6, start, end, logarithmic=True)
    low = 2 * min(above) - max(above)  # as much room below the values as they take
    return Scale(low if low > 0.2 * max(above) else 0, 1.08 * max(above), start, end)


def score_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Around the values, with room, within 0 and 100."""
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), 1.0)
    return Scale(max(low - room, 0), min(high + room, 100), start, end)


def ticks(scale: Scale, quantity: Quantity) -> list[float]:
    """Round values within a scale, few enough to be read."""
    if scale.logarithmic:
        return _log_ticks(scale, quantity)
    span = scale.high - scale.low
    most = min(_MOST_TICKS, max(2, int(abs(scale.end - scale.start) / _BETWEEN)))
    step = next((s for s in quantity.steps if span / s <= most), quantity.steps[-1])
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(scale: Scale, quantity: Quantity) -> list[float]:
    kept: list[float] = []
    inside = [step for step in quantity.steps if scale.low <= step <= scale.high]
    for value in inside[:: max(1, math.ceil(len(inside) / _MOST_TICKS))]:
        if not kept or abs(scale.at(value) - scale.at(kept[-1])) >= _BETWEEN:
            kept.append(value)
    return kept


def _decades(first: int, last: int) -> tuple[float, ...]:
    return tuple(float(f"{digit}e{power}") for power in range(first, last) for digit in (1, 2, 5))


def _tick_time(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _tick_size(quantity: float) -> str:
    for unit, length in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if quantity >= length:
            return f"{quantity / length:.3g} {unit}"
    return f"{quantity:g} B"


_TIMES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400)
_SIZES = tuple(2.0**power for power in range(50))

NUMBER = Quantity("", _decades(-3, 9), "{:g}".format)
SECONDS = Quantity("training time", (*_decades(-2, 0), *_TIMES), _tick_time)
MEMORY = Quantity("peak memory", _SIZES, _tick_size)
SAVED = Quantity("saved size", _SIZES, _tick_size)
