"""Averages of figures that are averages themselves: the two ways differ, so each has its name.

A benchmark of several parts (subjects, splits, categories) has one average over its items, in which
a part weighs as many items as it has, and one over its parts, in which all weigh the same. The
first is what the items pooled would score; figures of the two kinds must not be subtracted from
each other. (A published gain of 6.2 points in the humanities of MMLU was such a difference:
docs/published.md.)
"""

from __future__ import annotations

from collections.abc import Sequence


def mean_over_items(figures: Sequence[float], counts: Sequence[int]) -> float:
    """What all items together score, from the figure of each part and its number of items.

    Raises:
        ValueError: there are no items, or not one count for each figure.
    """
    total = sum(counts)
    if total <= 0:
        raise ValueError("an average over items needs items")
    return sum(f * count for f, count in zip(figures, counts, strict=True)) / total


def mean_over_parts(figures: Sequence[float]) -> float:
    """The mean in which each part weighs the same, whatever its number of items.

    Raises:
        ValueError: there are no parts.
    """
    if not figures:
        raise ValueError("an average over parts needs parts")
    return sum(figures) / len(figures)
