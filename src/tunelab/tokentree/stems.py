"""What to read in which order, so that long shared beginnings are read once and kept.

A tree in one row shares a prefix among the branches of that row. Where the branches are more than
fit a row, as the questions behind the five shots of a subject, their prefix becomes a *stem*: it is
read by itself, its keys and values are kept, and rows of branches are read behind it.

    stem   shots of anatomy              read once
    row        question 1 | question 2 | ... | question 15     so many as fit a pass
    row        question 16 | ...
    stem   shots of astronomy            the keys of anatomy are dropped
    row        ...

A prefix of a few tokens is rather repeated in every row than read in a pass of its own.
Pure: the same continuations give the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tunelab.tokentree.tree import common_prefix

LEAST = 64
"""Tokens of a stem at least: what a pass costs beside its tokens, in tokens."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Continuation:
    """Tokens whose log-probability is asked for, behind others that are given."""

    context: Tokens
    """At least one."""
    targets: Tokens
    """At least one."""

    def __post_init__(self) -> None:
        assert self.context and self.targets

    @property
    def inputs(self) -> Tokens:
        """What a model has to read: all but the last target."""
        return self.context + self.targets[:-1]


@dataclass(frozen=True, slots=True)
class Stem:
    """Tokens to keep, and what is read behind them."""

    tokens: Tokens
    """Behind those of the stem that this one is in; none at the root."""
    rows: tuple[tuple[int, ...], ...]
    """Indices of the continuations that are read together, directly behind this stem."""
    stems: tuple[Stem, ...]
    """Longer ones, each with rows of its own."""


def plan_stems(
    continuations: Sequence[Continuation], *, tokens_per_pass: int, least: int = LEAST
) -> Stem:
    """Cut the trie of what has to be read into rows behind stems; the root stem is empty.

    Args:
        continuations: any number, in any order. A stem ends before the last token of each context
            behind it, so that whatever predicts a target is read in a row.
        tokens_per_pass: tokens of a row at most; a longer branch is a row of its own.
        least: tokens of a stem at least.
    """
    if not continuations:
        return Stem((), (), ())
    return _Planning(continuations, tokens_per_pass, least).stem(0, len(continuations), 0, 0)


@dataclass(frozen=True, slots=True)
class _Segment:
    """Neighbours in the sorted order."""

    low: int
    high: int
    keep: int | None
    """Where the stem ends that they are read behind; None if they fit a row as they are."""


class _Planning:
    """The sorted inputs: those below a node of the trie are neighbours, from `low` to `high`."""

    def __init__(self, continuations: Sequence[Continuation], budget: int, least: int) -> None:
        inputs = [each.inputs for each in continuations]
        self.budget = budget
        self.least = least
        self.order = sorted(range(len(inputs)), key=lambda index: (inputs[index], index))
        self.ids = [inputs[index] for index in self.order]
        self.limits = [len(continuations[index].context) - 1 for index in self.order]
        self.shared = [0, *(common_prefix(one, other) for one, other in pairwise(self.ids))]
        added = (len(ids) - shared for ids, shared in zip(self.ids, self.shared, strict=True))
        self.until = [0, *accumulate(added)]

    def stem(self, low: int, high: int, start: int, kept: int) -> Stem:
        """The stem from `start` to `kept` of those from `low` to `high`."""
        rows: list[list[int]] = []
        stems: list[Stem] = []
        size, last = 0, -1  # tokens of the row that is being filled, where it ends
        for each in self._segments(low, high, kept):
            if each.keep is not None:
                stems.append(self.stem(each.low, each.high, kept, each.keep))
                continue
            alone = self._size(each.low, each.high, kept)
            common = max(0, min(self.shared[last : each.low + 1]) - kept) if rows else 0
            if rows and size + alone - common <= self.budget:
                size += alone - common
            else:
                rows.append([])
                size = alone
            rows[-1] += self.order[each.low : each.high]
            last = each.high
        return Stem(self.ids[low][start:kept], tuple(map(tuple, rows)), tuple(stems))

    def _segments(self, low: int, high: int, kept: int) -> Iterator[_Segment]:
        """The trie behind a stem cut at its forks, until each part fits a row or is a stem."""
        remaining = [(low, high)]
        while remaining:
            low, high = remaining.pop()
            alike = self.ids[low] == self.ids[high - 1]
            if alike or self._size(low, high, kept) <= self.budget:
                yield _Segment(low, high, None)
                continue
            fork = min(self.shared[low + 1 : high])
            keep = min(fork, min(self.limits[low:high]))
            if keep - kept >= self.least:
                yield _Segment(low, high, keep)
                continue
            turns = (i for i in range(low + 1, high) if self.shared[i] == fork)
            starts = [low, *(i for i in turns if len(self.ids[i]) > fork)]
            remaining += reversed(list(pairwise([*starts, high])))

    def _size(self, low: int, high: int, kept: int) -> int:
        """Tokens of the trie of those from `low` to `high`, without the first `kept`."""
        return len(self.ids[low]) - kept + self.until[high] - self.until[low + 1]
