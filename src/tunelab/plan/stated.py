"""Questions of stated lengths, for data that cannot be read here.

A plan needs no texts, only how long they are. `lengths.json` states that of the public sets, by
quantiles, with where it was counted; examples of filler are made after it, the same at every call.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import count
from typing import Any

from tunelab.data import Answer, ChoiceExample, Example
from tunelab.plan.coding import Item
from tunelab.plan.kinds import plannable
from tunelab.recipe import Task

_TURN = 0.6180339887498949
"""Multiples of the golden ratio, modulo 1, are spread evenly (Weyl): no random numbers."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Examples of filler, and the sentence about them."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    note: str


def stated_examples(task: Task, *, reason: str) -> Stated:
    """As many examples as the task would have, of the lengths that are known of its kind.

    Args:
        task: of the recipe.
        reason: why the data cannot be read.
    """
    task = plannable(task)
    name = f"squad-{task.version}" if task.kind == "squad" else task.kind
    facts = _facts()[name]
    wanted = facts["train"] - round(task.validation * facts["train"])
    train = _examples(facts, min(task.train_limit or wanted, wanted), "train")
    held = _examples(facts, round(task.validation * facts["train"]), "validation")
    test = _examples(facts, min(task.test_limit or facts["test"], facts["test"]), "test")
    note = f"assumed: {reason}; lengths are those of {facts['basis']}"
    return Stated(train, held, test, note)


def _examples(facts: dict[str, Any], wanted: int, part: str) -> list[Item]:
    made: list[Item] = []
    for paragraph in count():
        if len(made) >= wanted:
            return made[:wanted]
        group = f"{part}-{paragraph}"
        context = _text(group, _drawn(facts["context"], paragraph, 0))
        for _ in range(_drawn(facts["per_paragraph"], paragraph, 1)):
            made.append(_example(facts, len(made), context, group))
    raise AssertionError("count ends never")


def _example(facts: dict[str, Any], number: int, context: str, group: str) -> Item:
    name = f"{group}-{number}"
    question = _text(f"q{number} ", _drawn(facts["question"], number, 2))
    answer = _drawn(facts["answer"], number, 3)
    if facts["choices"]:
        choices = tuple(
            _text(f"{each}{number} ", _drawn(facts["answer"], number, 4 + each))
            for each in range(facts["choices"])
        )
        return ChoiceExample(name, question, choices, 0, group, context=context)
    unanswerable = _share(number, 5) < facts["unanswerable"]
    answers = () if unanswerable else (Answer(context[:answer], 0),)
    return Example(name, question, context, answers, group, group)


def _drawn(quantiles: Sequence[int], number: int, column: int) -> int:
    """A length: the inverse of the distribution at an evenly spread place."""
    places = [each / 100 for each in _facts()["quantiles"]]
    share = _share(number, column)
    index = min(bisect_right(places, share), len(places) - 1)
    low, high = places[index - 1], places[index]
    part = (share - low) / (high - low)
    return round(quantiles[index - 1] + part * (quantiles[index] - quantiles[index - 1]))


def _share(number: int, column: int) -> float:
    return ((number + 1) * _TURN + column * 0.37) % 1.0


def _text(mark: str, length: int) -> str:
    """Filler that begins in its own way, so that nothing is shared that would not be."""
    return (mark + " " + "word " * (length // 5))[:length]


@cache
def _facts() -> dict[str, Any]:
    return json.loads(resources.files("tunelab.plan").joinpath("lengths.json").read_text())
