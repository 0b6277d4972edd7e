"""The fixed text around what an example brings.

    "### Context:\\n" CONTEXT "\\n\\n### Question:\\n" QUESTION "\\n\\n### Answer:\\n" | answer </s>
    ------------------------------- prompt -------------------------------   target

Text of the template (`str`) may hold control tokens, such as the end of a turn. Text that somebody
else wrote (`Quoted`: contexts, questions, answers, the system message) never does, whatever it
looks like: the lexer keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tunelab.data import Example


class Slot(Enum):
    """A place that an example fills."""

    CONTEXT = "context"
    QUESTION = "question"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Quoted:
    """Text from outside the template; a control token in it is read as plain text."""

    text: str


Piece = str | Quoted | Slot
"""Text of the template, text from outside, or a place to fill."""
Filled = tuple[str | Quoted, ...]
"""A text with nothing left to fill."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A prompt with places to fill, and how its answer is opened and ended."""

    version: str
    """Names the wording; it is raised whenever the wording changes."""
    prompt: tuple[Piece, ...]
    """What generation starts from."""
    opening: str
    """What the target begins with before the answer's own text."""
    ending: str
    """What the target ends with behind the answer's own text, before the control token."""
    closing: str
    """Ends with the control token that ends the answer; empty where the template has none."""
    stop_texts: tuple[str, ...]
    """Texts behind which an answer is over, for a model that was not tuned to stop."""


def move_seam(frame: Frame) -> Frame:
    """The same text, but the space that ends the prompt begins the target.

    Some tokenizers read "\\n\\n" as one token at the end of a text and as two before a word. The
    prompt's own tokens are then the first of the whole only where the prompt ends before the space.
    """
    *before, last = frame.prompt
    assert isinstance(last, str), "text of the template stands between question and answer"
    kept = last.rstrip()
    return replace(frame, prompt=(*before, kept), opening=last[len(kept) :] + frame.opening)


def fill(pieces: Sequence[Piece], example: Example) -> Filled:
    """Put the context and the question of an example in their places."""
    filled: list[str | Quoted] = []
    for piece in pieces:
        match piece:
            case Slot.CONTEXT:
                filled.append(Quoted(example.context))
            case Slot.QUESTION:
                filled.append(Quoted(example.question))
            case Slot.ANSWER:
                raise AssertionError("a prompt ends before the answer")
            case text:
                filled.append(text)
    return tuple(filled)
