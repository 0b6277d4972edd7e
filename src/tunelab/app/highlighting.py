"""A paragraph in pieces, so that passages of it can be marked: answers, and gold answers.

"Built in 1843 by Anna Berg."  [answer 9..13], [gold 17..26]
"Built in " | "1843" answer | " by " | "Anna Berg" gold | "."
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunelab.answering import Answered
from tunelab.data import Answer, Example


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text."""

    start: int
    """Unicode character offset."""
    end: int
    """Behind its last character."""

    @classmethod
    def of(cls, answer: Answer) -> Passage:
        """Where an answer stands."""
        return cls(answer.start, answer.start + len(answer.text))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that is marked alike throughout."""

    text: str
    said: bool
    """A part of the model's answer."""
    gold: bool
    """A part of a gold answer."""


def pieces(text: str, said: Iterable[Passage], gold: Iterable[Passage]) -> list[Piece]:
    """Cut a text where a passage begins or ends; passages may overlap, and reach too far."""
    answered, wanted = list(said), list(gold)
    cuts = {0, len(text)}
    for passage in (*answered, *wanted):
        cuts |= {min(max(at, 0), len(text)) for at in (passage.start, passage.end)}
    ordered = sorted(cuts)
    return [
        Piece(text[start:end], _inside(start, answered), _inside(start, wanted))
        for start, end in pairwise(ordered)
    ]


def place_of(found: Answered, context: str) -> Passage | None:
    """Where the final answer stands in the context; None: nowhere, or there is none."""
    answer = found.prediction.answer
    if not answer:
        return None
    for candidate in found.candidates:
        if candidate.text == answer and candidate.start is not None:
            return Passage(candidate.start, candidate.start + len(answer))
    return find_passage(context, answer)


def find_passage(context: str, text: str) -> Passage | None:
    """The first place of a text in a context; its case does not matter where it stands nowhere."""
    start = context.find(text)
    if start < 0 and len(context.lower()) == len(context):
        start = context.lower().find(text.lower())
    return Passage(start, start + len(text)) if text and start >= 0 else None


def marked(example: Example, said: Sequence[Passage | None]) -> list[Piece]:
    """The paragraph of a question with what was answered and what is right."""
    answered = [passage for passage in said if passage is not None]
    return pieces(example.context, answered, map(Passage.of, example.answers))


def _inside(at: int, passages: Iterable[Passage]) -> bool:
    return any(passage.start <= at < passage.end for passage in passages)
