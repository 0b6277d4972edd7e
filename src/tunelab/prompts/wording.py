"""The prompts as plain conversations, for a model whose tokenizer and template are elsewhere.

    chat-json    the turns that `chat` puts into a template, worked examples as earlier turns
    plain        one turn of the user with all of the plain prompt

The wording is that of the styles, and so are their versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from tunelab.data import Example
from tunelab.prompts import chat, plain
from tunelab.prompts.chat import Message
from tunelab.prompts.frame import Piece, Quoted, fill
from tunelab.recipe import Prompt


class Wording:
    """What is said to a model about an example.

    Args:
        settings: the style.
        shots: worked examples that are said before every question.
    """

    def __init__(self, settings: Prompt, shots: Sequence[Example] = ()) -> None:
        self._settings = settings
        match settings.style:
            case "plain":
                self.no_answer = settings.no_answer or plain.NO_ANSWER
                frame = plain.plain_frame(self._worked(shots))
                self.version = frame.version
                self.opening, self.stop_texts = "", frame.stop_texts
                self._turns = [Message("user", frame.prompt)]
            case "chat-json":
                self.no_answer = settings.no_answer or chat.NO_ANSWER
                self.version = chat.version(settings)
                self.opening, self.stop_texts = chat.OPENING, chat.STOP_TEXTS
                self._turns = chat.converse(
                    settings, no_answer=self.no_answer, shots=self._worked(shots)
                )[:-1]  # the last one is the answer
            case never:
                assert_never(never)

    def messages(self, example: Example) -> list[Message]:
        """The conversation up to the answer, every message one text."""
        return [Message(turn.role, (Quoted(_text(turn.content, example)),)) for turn in self._turns]

    def _worked(self, shots: Sequence[Example]) -> list[tuple[Example, str]]:
        return [(shot, shot.gold[0] if shot.answers else self.no_answer) for shot in shots]


def _text(pieces: Sequence[Piece], example: Example) -> str:
    return "".join(
        piece if isinstance(piece, str) else piece.text for piece in fill(pieces, example)
    )
