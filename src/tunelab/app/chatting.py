"""Talking on with a decoder: what is said to it, and the reply while it is written.

A conversation may begin with the question that was just asked, as the run is asked it, and what
the run wrote; so it is about the paragraph. All of it is text from outside: a control token that is
spelt out in it stays text, in the system prompt too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tunelab.answering import Answered, Answerer, Writing
from tunelab.app.asking import LONGEST_TEXT
from tunelab.data import Example
from tunelab.errors import DataError
from tunelab.prompts.chat import Message
from tunelab.prompts.frame import Quoted
from tunelab.prompts.wording import Wording
from tunelab.recipe import Recipe

MOST_TOKENS = 512
"""Of a reply."""

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the two said."""

    role: Role
    text: str


def conversation(
    turns: Sequence[Turn], *, system: str, about: Sequence[Message] = ()
) -> list[Message]:
    """What a decoder is given: a system prompt, what the talk is about, and the turns.

    Raises:
        DataError: nothing was said last, or it is far too long.
    """
    if not turns or not turns[-1].text.strip():
        raise DataError("There is nothing to reply to.", hint="Write something.")
    if sum(len(turn.text) for turn in turns) + len(system) > LONGEST_TEXT:
        raise DataError(
            f"The conversation has more than {LONGEST_TEXT:,} characters.", hint="Clear it."
        )
    opening = [Message("system", (Quoted(system),))] if system.strip() else []
    said = [Message(turn.role, (Quoted(turn.text),)) for turn in turns]
    return [*opening, *about, *said]


def about_question(recipe: Recipe, example: Example, found: Answered) -> list[Message]:
    """A question as the run is asked it, and what it wrote; without its system prompt."""
    asked = Wording(recipe.prompt).messages(example)
    decoded = found.prediction.decoded
    said = decoded.response if decoded is not None else found.prediction.output
    turns = [message for message in asked if message.role != "system"]
    return [*turns, Message("assistant", (Quoted(said),))]


class Replies:
    """Replies that are being written, by visitor; each may have one, and may stop it."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}

    def stream(
        self, visitor: str, answerer: Answerer, messages: Sequence[Message], writing: Writing
    ) -> Iterator[str]:
        """All of the reply so far, again and again, until it is over or stopped.

        Raises:
            TunelabError: the conversation cannot be put to the model, or is too long for it.
        """
        self.stop(visitor)
        stopped = self._stops[visitor] = threading.Event()
        pieces = answerer.stream(messages, writing)
        text = ""
        try:
            for piece in pieces:
                if stopped.is_set():
                    break
                text += piece
                yield text
        finally:
            pieces.close()
            if self._stops.get(visitor) is stopped:
                del self._stops[visitor]

    def stop(self, visitor: str) -> None:
        """End a visitor's reply, if there is one; also called when he goes away."""
        with suppress(KeyError):
            self._stops.pop(visitor).set()
