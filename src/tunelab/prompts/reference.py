"""Writes docs/prompts.md: `python -m tunelab.prompts.reference > docs/prompts.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import assert_never

from tunelab.prompts import chat, plain
from tunelab.prompts.chat import Message, converse
from tunelab.prompts.frame import Piece, Quoted, Slot
from tunelab.recipe import Prompt

_HEAD = """\
# Prompts

A decoder is asked in one of the styles below, chosen by `prompt.style` and `prompt.turns`. Every
wording has a version, which a run records; a test holds the wording to its version.

- A whole example is tokenised in one piece. Trained are the tokens of the answer and the token that
  ends it (the template's end of turn, else end-of-sequence), also where padding has the same id.
- The context stands before the question, and worked examples (`tuning.shots`) before the context,
  so that all questions on a paragraph begin with the same tokens.
- Control tokens are the template's alone. Their text in a context or question is read as text.
- Where a tokenizer merges characters of prompt and answer, the target begins at the first token
  that differs from the prompt's own; `tunelab doctor` counts such questions.
- An example longer than the model reads is left out of the training and counted, never cut.
- A date in a chat template is held fixed, and thinking is switched off.
"""


def reference() -> str:
    """The page: the exact text of each version."""
    single, multi = Prompt(style="chat-json"), Prompt(style="chat-json", turns="multi")
    return "\n".join(
        [
            _HEAD,
            _section(
                plain.plain_frame(()).version,
                "Headings and a bare answer. Beginning-of-sequence stands before it where the "
                f"tokenizer sets one. An unanswerable question is answered `{plain.NO_ANSWER}`.",
                _shown(plain.plain_frame(()).prompt) + "{answer}",
            ),
            *(
                _section(
                    chat.version(settings),
                    "Each message stands in the model's own chat template, behind the recipe's "
                    "system message if there is one. An unanswerable question is answered "
                    f'`"{chat.NO_ANSWER}"`. `prompt.reasoning_tokens` stand before the JSON.',
                    _conversation(converse(settings, no_answer=chat.NO_ANSWER, shots=())),
                )
                for settings in (single, multi)
            ),
        ]
    )


def _section(version: str, told: str, text: str) -> str:
    return f"## {version}\n\n{told}\n\n~~~text\n{text}\n~~~\n"


def _conversation(messages: Sequence[Message]) -> str:
    return "\n".join(f"[{message.role}]\n{_shown(message.content)}" for message in messages)


def _shown(pieces: Sequence[Piece]) -> str:
    return "".join(map(_show, pieces))


def _show(piece: Piece) -> str:
    match piece:
        case str():
            return piece
        case Quoted(text):
            return text
        case Slot.ANSWER:
            return f"{chat.OPENING}{{answer}}{chat.ENDING}"
        case Slot():
            return f"{{{piece.value}}}"
        case never:
            assert_never(never)


if __name__ == "__main__":
    sys.stdout.write(reference())
