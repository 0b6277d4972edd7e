"""One question with its context and its gold answers: what every task is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TypeVar

from tunelab.data.choice import ChoiceExample
from tunelab.data.conversation import Conversation
from tunelab.data.passage import Passage


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer; `start` is its Unicode character offset in the context."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Example:
    """A question on a paragraph.

    `answers` is empty where the paragraph does not answer the question. `group` names the
    paragraph, the unit of resampling: questions on one paragraph are not independent.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    group: str
    article: str

    @property
    def gold(self) -> tuple[str, ...]:
        """The texts of the gold answers."""
        return tuple(answer.text for answer in self.answers)


Single = Example | ChoiceExample | Conversation | Passage


@dataclass(frozen=True, slots=True)
class Mixed:
    """An example of a part of a mixture; ids of different parts are kept apart."""

    part: str
    """Its name in scores.json."""
    example: Single

    @property
    def id(self) -> str:
        """Of the example, behind the name of its part."""
        return f"{self.part}/{self.example.id}"

    @property
    def group(self) -> str:
        """Likewise."""
        return f"{self.part}/{self.example.group}"


ItemT = TypeVar("ItemT", Example, ChoiceExample, Conversation, Passage, Mixed)
"""Any kind of example."""


def text_hash(text: str) -> str:
    """16 hexadecimal digits that name a text, such as a paragraph."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def examples_digest(examples: Iterable[Single | Mixed]) -> str:
    """SHA-256 over the content of examples in their order, wherever their files lie."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(asdict(example), sort_keys=True).encode())
    return digest.hexdigest()


def misplaced_answers(examples: Iterable[Example]) -> list[tuple[Example, Answer]]:
    """Answers whose offset does not lead to their text in the context."""
    return [
        (example, answer)
        for example in examples
        for answer in example.answers
        if not (answer.text and example.context.startswith(answer.text, answer.start))
        or answer.start < 0
    ]
