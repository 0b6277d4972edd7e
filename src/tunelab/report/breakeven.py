"""From how many training questions, or shots, on another method is the best one. Pure.

At every level the methods are told apart as everywhere: by the verdicts on the same items. A
break-even is placed between two levels that were run; nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunelab.report.recommendation import Advice, Field, Option, listed


@dataclass(frozen=True, slots=True)
class Place:
    """Where an option stands on an axis; without a level it stands at all of them."""

    family: str
    """The method's name without the axis."""
    level: int | None


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that a study varies."""

    unit: str
    """Of its levels, such as "training questions"."""
    places: Mapping[str, Place]
    """Label of an option -> its place."""

    @property
    def levels(self) -> list[int]:
        """Those that were run, rising."""
        return sorted({p.level for p in self.places.values() if p.level is not None})

    def at(self, field: Field, level: int) -> Field:
        """The options of one level, and those that have none."""
        here = [o for o in field.options if self.places[o.label].level in (level, None)]
        return field.among(here)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Neighbouring levels with the same winners."""

    levels: tuple[int, ...]
    winners: tuple[str, ...]
    lead: str
    """Of the one winner over the next, at the last of the levels; empty if nothing is next."""
    runs: tuple[str, ...]


def break_even(field: Field, axis: Axis) -> list[Advice]:
    """One advice an axis; none where fewer than two methods meet at two levels."""
    fields = [
        (level, here) for level in axis.levels if len((here := axis.at(field, level)).options) > 1
    ]
    if len(fields) < 2:
        return []
    stretches = _joined([_stretch(here, axis, level) for level, here in fields])
    told = "; ".join(
        _told(s, axis.unit, first=s is stretches[0], last=s is stretches[-1]) for s in stretches
    )
    runs = tuple(dict.fromkeys(run for stretch in stretches for run in stretch.runs))
    return [Advice(f"Where {axis.unit} decide", f"{_capital(told)}.{_between(stretches)}", runs)]


def _stretch(field: Field, axis: Axis, level: int) -> _Stretch:
    tied = field.tied()
    winners = tuple(sorted(axis.places[option.label].family for option in tied))
    rest: Sequence[Option] = [option for option in field.options if option not in tied]
    lead = ""
    if len(tied) == 1 and rest:
        by = field.lead(tied[0], rest[0], unit=field.metric)
        lead = f"{by} ahead of {axis.places[rest[0].label].family}"
    return _Stretch((level,), winners, lead, tuple(run for option in tied for run in option.runs))


def _joined(single: Sequence[_Stretch]) -> list[_Stretch]:
    joined: list[_Stretch] = []
    for stretch in single:
        if joined and joined[-1].winners == stretch.winners:
            before = joined.pop()
            levels, runs = before.levels + stretch.levels, before.runs + stretch.runs
            stretch = _Stretch(levels, stretch.winners, stretch.lead, runs)
        joined.append(stretch)
    return joined


def _told(stretch: _Stretch, unit: str, *, first: bool, last: bool) -> str:
    low, high = stretch.levels[0], stretch.levels[-1]
    if first and last:
        where = f"at every level from {low:,} to {high:,} {unit}"
    elif low == high:
        where = f"with {low:,} {unit}"
    elif first:
        where = f"up to {high:,} {unit}"
    elif last:
        where = f"from {low:,} {unit} on"
    else:
        where = f"from {low:,} to {high:,} {unit}"
    winners = listed(stretch.winners)
    if len(stretch.winners) > 1:
        return f"{where} {winners} are not separable"
    at = f" at {high:,}" if stretch.lead and low != high else ""
    lead = f", {stretch.lead}{at}" if stretch.lead else ""
    return f"{where} {winners} is best{lead}"


def _between(stretches: Sequence[_Stretch]) -> str:
    """Where the best method changes, if one is shown to be best on either side."""
    sole = [stretch for stretch in stretches if len(stretch.winners) == 1]
    changes = [
        f" {before.winners[0]} and {after.winners[0]} break even between {before.levels[-1]:,} and "
        f"{after.levels[0]:,}."
        for before, after in pairwise(sole)
        if before.winners != after.winners
    ]
    return "".join(changes)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
