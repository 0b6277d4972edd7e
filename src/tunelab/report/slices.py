"""Where methods differ: scores by kind of question, and a sample of the questions themselves.

A slice is a part of the test items. Slices are for looking: they are many, and their intervals are
not corrected for that; a verdict rests on all items. The sample is drawn by hash, never by taste.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, zip_longest

import numpy as np

from tunelab.data import text_hash
from tunelab.metrics.squad import Floats, Mask
from tunelab.report.study import Items, Method
from tunelab.statistics import Interval, mean_interval

_FEWEST = 10
"""Items of a slice that is shown."""
_RIGHT, _WRONG = 80.0, 20.0
"""Percent: from here on a method is right on an item, up to there wrong."""
_WORDS = re.compile(r"[^\W_]+")
_KINDS = ("what", "who", "whom", "whose", "which", "when", "where", "why", "how")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the items, and how the methods score on it."""

    about: str
    """What the items are divided by."""
    name: str
    items: int
    scores: dict[str, Interval]
    """Label -> mean over seeds, in percent."""


@dataclass(frozen=True, slots=True)
class Picked:
    """Why an item stands in the sample, and which one."""

    reason: str
    index: int


def slices(methods: Sequence[Method], metric: str, questions: Mapping[str, str]) -> list[Slice]:
    """Scores by answerability, length of the answer and kind of question.

    Args:
        methods: finished, on the same items.
        metric: whose score is shown.
        questions: id -> text; may be empty, then there is no kind of question.
    """
    items = methods[0].items
    assert items is not None
    about, _ = methods[0].scores(metric)
    divisions: list[tuple[str, Callable[[int], str]]] = [
        ("answer", lambda i: "has an answer" if items.gold[i] else "has none"),
        ("answer length", lambda i: _length(items.gold[i])),
    ]
    if questions:
        asked = [questions.get(key, "") for key in items.ids]
        divisions.append(("kind of question", lambda i: kind_of_question(asked[i])))
    found: list[Slice] = []
    for division, name_of in divisions:
        members: dict[str, list[int]] = {}
        for index in np.flatnonzero(about):
            if name := name_of(int(index)):
                members.setdefault(name, []).append(int(index))
        shown = {name: rows for name, rows in members.items() if len(rows) >= _FEWEST}
        if len(shown) > 1:
            found += [
                _slice(division, name, shown[name], methods, metric)
                for name in sorted(shown, key=_order)
            ]
    return found


def kind_of_question(question: str) -> str:
    """The first question word of a question; with "how", also "many" and "much"; empty of none."""
    words = [word.lower() for word in _WORDS.findall(question)]
    for word, following in zip_longest(words, words[1:]):
        if word == "how" and following in ("many", "much"):
            return "how many, how much"
        if word in _KINDS:
            return "who" if word in ("whom", "whose") else word
    return "other" if question else ""


def sample(methods: Sequence[Method], metric: str, *, each: int, most: int) -> list[Picked]:
    """Items on which one method is right and another wrong, pair by pair, and all are wrong.

    Args:
        methods: finished, on the same items, the best first.
        metric: which score makes an answer right.
        each: how many of every kind.
        most: how many in all.
    """
    items = methods[0].items
    assert items is not None
    about, _ = methods[0].scores(metric)
    means = {method.label: method.scores(metric)[1].mean(axis=0) for method in methods}
    kinds: list[tuple[str, Mask]] = [
        (f"{a.label} is right, {b.label} is wrong", _right(means[a.label]) & _wrong(means[b.label]))
        for a, b in permutations(methods, 2)
    ]
    every_wrong = np.all([_wrong(scores) for scores in means.values()], axis=0)
    kinds.insert(0, ("All are wrong", every_wrong))
    picked: dict[int, Picked] = {}
    for reason, wanted in kinds:
        rows = [int(i) for i in np.flatnonzero(wanted & about) if int(i) not in picked]
        rows.sort(key=lambda index: text_hash(items.ids[index]))
        picked |= {index: Picked(reason, index) for index in rows[:each]}
    return list(picked.values())[:most]


def _slice(
    about: str, name: str, rows: Sequence[int], methods: Sequence[Method], metric: str
) -> Slice:
    items: Items | None = methods[0].items
    assert items is not None
    groups = [items.groups[index] for index in rows]
    scores = {
        method.label: mean_interval(method.scores(metric)[1][:, rows], groups).within(0, 100)
        for method in methods
    }
    return Slice(about, name, len(rows), scores)


def _length(gold: Sequence[str]) -> str:
    """By the shortest of the gold answers."""
    if not gold:
        return ""
    words = min(len(answer.split()) for answer in gold)
    if words <= 1:
        return "1 word"
    if words <= 3:
        return "2 to 3 words"
    return "4 to 6 words" if words <= 6 else "7 words or more"


def _order(name: str) -> tuple[bool, int, str]:
    """Kinds of question in their usual order, the others by name, "other" last."""
    first = name.partition(",")[0].partition(" ")[0]
    return name == "other", _KINDS.index(first) if first in _KINDS else 0, name


def _right(scores: Floats) -> Mask:
    return scores >= _RIGHT


def _wrong(scores: Floats) -> Mask:
    return scores <= _WRONG
