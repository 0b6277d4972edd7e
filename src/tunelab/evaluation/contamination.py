"""Was the test set seen in training? The published order of its questions against others.

A set of exchangeable items is as likely in one order as in another, unless a model has met it in
the order in which it was published. That is the test of Oren et al. (2023, arXiv 2310.17623), in
its sharded form: for each shard the log-probability in canonical order less the mean of that in
random orders, and a one-sided t test over shards.

A shard here is a paragraph, and its items the questions on it, one a line and nothing else:

    canonical   When was it founded?  |  Who founded it?    |  Where did he die?
    shuffled    Where did he die?     |  When was it founded?  |  Who founded it?

Orders are changed inside paragraphs alone, for questions on one subject belong together whoever
has seen them; contexts stay away, for questions often follow the text in front of them; answers
stay away too, since version 2.0 often puts the unanswerable questions last. What the orders of a
paragraph have in common is read once (`tunelab.tokentree`).

It can show memory of an order. It cannot clear a model: a set that was met in another order, or
seldom, leaves no such trace. And questions are not quite exchangeable, because people wrote them
one after the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np

from tunelab.data import Example
from tunelab.prompts.encoded import EncodedExample
from tunelab.records import OrderShard

SHUFFLES = 10
"""Other orders of a paragraph. The canonical one is a single draw, so that ten add a twentieth to
the standard error; more would add little."""

CONVENTION = (
    "one-sided p value of a preference for the published order of the questions of a paragraph "
    "(Oren et al. 2023, arXiv 2310.17623; a shard is a paragraph, t test over shards)"
)


class Reader(Protocol):
    """A model that gives texts a probability."""

    @property
    def room(self) -> int:
        """Tokens that it reads; of a longer paragraph the first questions count."""
        ...

    def encode_text(self, text: str) -> EncodedExample:
        """A text as tokens, all of them targets."""
        ...

    def text_log_probs(self, texts: Sequence[EncodedExample], name: str) -> list[float]:
        """The log-probability of each text, in nats."""
        ...


@dataclass(frozen=True, slots=True)
class OrderTest:
    """What the shards of a run say together."""

    p_value: float | None
    """One-sided; None where there is nothing to test."""
    t: float | None
    shards: int
    items: int
    gain: float
    """How much likelier the published order is, in nats a question."""


def score_orders(examples: Sequence[Example], *, seed: int, model: Reader) -> list[OrderShard]:
    """The log-probabilities of each paragraph's questions in their order and in others.

    Args:
        examples: in canonical order within each paragraph.
        seed: of the random orders.
        model: what is tested.
    """
    groups: list[str] = []
    counts: list[int] = []
    orders: list[list[EncodedExample]] = []
    for group, questions in _paragraphs(examples):
        encoded = _fitting(questions, random.Random(f"{seed} {group}"), model)
        if encoded:
            groups.append(group)
            counts.append(len(questions))
            orders.append(encoded)
    flat = [text for texts in orders for text in texts]
    found = iter(model.text_log_probs(flat, "order of the test set"))
    rows = [[next(found) for _ in texts] for texts in orders]
    return [
        OrderShard(group=group, items=count, canonical=row[0], shuffled=tuple(row[1:]))
        for group, count, row in zip(groups, counts, rows, strict=True)
    ]


def order_test(shards: Sequence[OrderShard]) -> OrderTest:
    """The t test over shards."""
    from scipy.special import stdtr

    items = sum(shard.items for shard in shards)
    gains = np.array([shard.canonical - float(np.mean(shard.shuffled)) for shard in shards])
    gain = float(gains.sum() / items) if items else 0.0
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    if error == 0.0:
        return OrderTest(None, None, len(shards), items, gain)
    t = float(gains.mean()) / error
    return OrderTest(float(stdtr(len(gains) - 1, -t)), t, len(shards), items, gain)


def other_orders(count: int, drawn: random.Random) -> list[tuple[int, ...]]:
    """Different orders of so many things, none of them the first; all there are, or `SHUFFLES`."""
    wanted = SHUFFLES if count > 4 else min(SHUFFLES, math.factorial(count) - 1)
    canonical = tuple(range(count))
    found: dict[tuple[int, ...], None] = {}
    while len(found) < wanted:
        order = tuple(drawn.sample(canonical, count))
        if order != canonical:
            found[order] = None
    return list(found)


def _paragraphs(examples: Sequence[Example]) -> Iterator[tuple[str, list[str]]]:
    """Paragraphs with at least two questions of different wording."""
    for group, members in groupby(examples, key=lambda example: example.group):
        questions = [" ".join(example.question.split()) for example in members]
        if len(set(questions)) > 1:
            yield group, questions


def _fitting(questions: list[str], drawn: random.Random, model: Reader) -> list[EncodedExample]:
    """All orders as tokens, the canonical one first; questions that do not fit are taken away."""
    while len(set(questions)) > 1:
        orders = [tuple(range(len(questions))), *other_orders(len(questions), drawn)]
        texts = ["".join(f"{questions[index]}\n" for index in order) for order in orders]
        encoded = [model.encode_text(text) for text in texts]
        if max(len(text.ids) for text in encoded) <= model.room:
            return encoded
        questions.pop()
    return []
