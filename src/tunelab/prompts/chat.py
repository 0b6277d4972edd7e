"""The chat prompt: the model's own template, and an answer in JSON.

The template is rendered once, with a mark in every place that an example fills; the marks are then
replaced by the texts. So a template sees no text of the data: it can neither change it, nor take
a word of a paragraph for an instruction, nor drop a part of it without being found out.

Dates are held fixed, or prompts would change overnight; templates that offer thinking are told
that there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.errors import ModelError
from tunelab.prompts.frame import Frame, Piece, Quoted, Slot
from tunelab.prompts.lexer import Lexer
from tunelab.prompts.reasoning import reasoning_token_names
from tunelab.recipe import Prompt

NO_ANSWER = "?"
"""Said of an unanswerable question."""
OPENING = '```json\n{"answer": "'
ENDING = '"}\n```'
STOP_TEXTS = ("}\n```",)
"""Behind which an answer is over."""

_TODAY = datetime(2024, 7, 26)
"""The date that Llama 3.2's template falls back on."""
_MARK = re.compile("\ue000([0-9]+)\ue001")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: tuple[Piece, ...]


def chat_frame(
    tokenizer: PreTrainedTokenizerBase,
    settings: Prompt,
    *,
    lexer: Lexer,
    no_answer: str,
    shots: Sequence[tuple[Example, str]],
) -> Frame:
    """The frame, with worked examples as earlier turns.

    Raises:
        ModelError: there is no chat template, it cannot be rendered, or it loses a part.
    """
    return frame_of(
        tokenizer,
        converse(settings, no_answer=no_answer, shots=shots),
        lexer=lexer,
        version=version(settings),
    )


def frame_of(
    tokenizer: PreTrainedTokenizerBase,
    conversation: Sequence[Message],
    *,
    lexer: Lexer,
    version: str,
) -> Frame:
    """The frame of any conversation whose last message is the answer.

    Raises:
        ModelError: there is no chat template, it cannot be rendered, or it loses a part.
    """
    *before, last, _, closing = render(tokenizer, conversation)
    assert isinstance(last, str)
    assert isinstance(closing, str)
    # a space that the template puts before an answer is a part of the answer's first token
    prompt = last.rstrip(" ")
    lead = last[len(prompt) :]
    return Frame(
        version=version,
        prompt=(*before, prompt),
        opening=lead + OPENING,
        ending=ENDING,
        closing=up_to_control(closing, lexer),
        stop_texts=STOP_TEXTS,
    )


def version(settings: Prompt) -> str:
    """Names the wording below; raised whenever it changes."""
    match settings.turns:
        case "single":
            return "chat-json-1"
        case "multi":
            return "chat-json-multi-1"
        case never:
            assert_never(never)


def write_json(answer: str) -> str:
    """An answer as it stands between the quotes of a JSON string."""
    return json.dumps(answer, ensure_ascii=False)[1:-1]


def converse(
    settings: Prompt, *, no_answer: str, shots: Sequence[tuple[Example, str]]
) -> list[Message]:
    """The conversation up to the answer, which is its last message."""
    messages: list[Message] = []
    if settings.system is not None:
        messages.append(Message("system", (Quoted(settings.system),)))
    for example, answer in shots:
        shot = Quoted(OPENING + write_json(answer) + ENDING)
        context, question = Quoted(example.context), Quoted(example.question)
        messages += _asked(settings, context, question, no_answer=no_answer)
        messages.append(Message("assistant", (shot,)))
    messages += _asked(settings, Slot.CONTEXT, Slot.QUESTION, no_answer=no_answer)
    thought = "".join(reasoning_token_names(settings.reasoning_tokens))
    messages.append(Message("assistant", (thought, Slot.ANSWER)))
    return messages


def _asked(settings: Prompt, context: Piece, question: Piece, *, no_answer: str) -> list[Message]:
    wanted = f'```json\n{{"answer": "..."}}\n```\nWrite "{write_json(no_answer)}" for the answer '
    wanted += "if the context does not hold it."
    if settings.turns == "single":
        instruction = (
            "Find the shortest passage of the context that answers the question, and copy it word "
            f"for word. Reply in this form and with nothing else:\n{wanted}\n\nContext:\n"
        )
        return [Message("user", (instruction, context, "\n\nQuestion:\n", question))]
    return [
        Message("user", ("Read this context. A question about it follows.\n\nContext:\n", context)),
        Message("assistant", ("I have read the context. What is the question?",)),
        Message("user", (question,)),
        Message("assistant", ("I have looked for the answer. How shall I give it?",)),
        Message(
            "user",
            (
                "Copy the shortest passage of the context that answers the question word for "
                f"word. Reply in this form and with nothing else:\n{wanted}",
            ),
        ),
    ]


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    instead: str = "prompt.style=plain",
) -> list[Piece]:
    """The conversation as the template writes it: its own texts, and by turns what fills them.

    Args:
        tokenizer: with a chat template.
        messages: each with one piece at least that is no text of the template.
        instead: the setting that needs no template.

    Raises:
        ModelError: there is no chat template, it cannot be rendered, or it loses a part.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            "The tokenizer has no chat template.",
            hint=f"Say {instead}, or use the checkpoint's chat (instruct) version.",
        )
    marked: list[Piece] = []

    def mark(piece: Piece) -> str:
        if isinstance(piece, str):
            return piece
        marked.append(piece)
        return f"\ue000{len(marked) - 1}\ue001"

    turns = [
        {"role": message.role, "content": "".join(map(mark, message.content))}
        for message in messages
    ]
    try:
        text = tokenizer.apply_chat_template(
            turns, tokenize=False, enable_thinking=False, strftime_now=_TODAY.strftime
        )
    except Exception as error:  # a template is a program: anything may happen in it
        raise ModelError(
            f"The chat template of the tokenizer cannot be rendered: {error}",
            hint="Templates without a system role cannot take a system message, and some allow "
            f"one turn only. {instead} needs no template.",
        ) from error
    assert isinstance(text, str)
    first, *rest = _MARK.split(text)
    if [int(number) for number in rest[::2]] != list(range(len(marked))):
        raise ModelError(
            "The chat template of the tokenizer drops, repeats or reorders messages.",
            hint=f"Say {instead}, or repair tokenizer.chat_template.",
        )
    pieces: list[Piece] = [first]
    for number, literal in zip(rest[::2], rest[1::2], strict=True):
        pieces += [marked[int(number)], literal]
    return pieces


def up_to_control(text: str, lexer: Lexer) -> str:
    """The text that closes a turn, up to its control token; empty if there is none."""
    ordinary, *rest = lexer.split(text)
    return ordinary + rest[0] if rest else ""
