"""How figures look in tables: three significant digits, units that fit."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from tunelab.statistics import digits_for


def count(value: float) -> str:
    """1234567 -> 1,234,567."""
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """75 -> 1 min 15 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(quantity: float) -> str:
    """Bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB"):
        if quantity < 1024:
            return f"{_three_digits(quantity)} {unit}"
        quantity /= 1024
    return f"{_three_digits(quantity)} GiB"


def rate(value: float) -> str:
    """A learning rate."""
    return f"{value:.3g}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    return f"{100 * part / whole:.3g} %" if whole else "-"


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def spread(values: Sequence[float | None], show: Callable[[float], str]) -> str:
    """The median, and the smallest and largest value where they look different."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    low, high = show(min(known)), show(max(known))
    return show(middle(known)) + (f" ({low} to {high})" if low != high else "")


def scored(value: float, *ends: float, unit: str = "") -> str:
    """A score or a difference in percent or points, with its interval: 61.0 F1 [56.8, 65.2]."""
    digits = digits_for(ends[1] - ends[0]) if len(ends) == 2 else 1
    shown, *around = (_signless_zero(f"{each:.{digits}f}") for each in (value, *ends))
    interval = f" [{', '.join(around)}]" if len(around) == 2 else ""
    return shown + (f" {unit}" if unit else "") + interval


def _signless_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"  # never 1e+03
