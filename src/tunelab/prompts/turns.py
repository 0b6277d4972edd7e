"""Whole conversations as a decoder reads and learns them: every turn of the assistant is a target.

    <|user|> Hi <|assistant|> Hello! </s> <|user|> How are you? <|assistant|> Well. </s>
                              ---------- target                               --------- target

A conversation is tokenised in one piece; where each reply begins and ends is told by the tokens of
the text up to there, as for any other prompt. Generation starts from the tokens before the last
reply. All texts are from outside: a control token that is spelt out in one stays ordinary text.

The template is the tokenizer's own, or plain headings for a model without one:

    ### User:\\nHi\\n\\n### Assistant:\\nHello!</s>\\n\\n### User: ...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from transformers import PreTrainedTokenizerBase

from tunelab.data import Conversation, Role, Turn
from tunelab.errors import DataError, ModelError
from tunelab.prompts.chat import Message, render, up_to_control
from tunelab.prompts.checks import double_start, seam_mismatch, target_start
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.frame import Filled, Quoted
from tunelab.prompts.lexer import Lexer
from tunelab.prompts.prompter import FIRST_CHARACTERS

VERSIONS = {"model": "turns-model-1", "plain": "turns-plain-1"}
"""Names the ways of writing conversations; raised whenever one changes."""

_HEADINGS: dict[Role, str] = {
    "system": "### System:\n",
    "user": "### User:\n",
    "assistant": "### Assistant:\n",
}
_USER_SPEAKS = re.compile(r"^\W{0,4}(user|human)\W{0,4}:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EncodedTurns:
    """A conversation as tokens."""

    whole: EncodedExample
    prompt_length: int
    """Tokens before the last reply."""
    first_prompt: int
    """Tokens before the first one."""
    merged: bool
    """The tokenizer merges characters across a seam of prompt and reply."""


class TurnsPrompter:
    """Puts whole conversations to a decoder.

    Args:
        tokenizer: of the model.
        template: the tokenizer's own, or plain headings.

    Raises:
        ModelError: there is no template, it does not do, or no token ends a turn.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, template: Literal["model", "plain"]
    ) -> None:
        self._tokenizer = tokenizer
        self._template: Literal["model", "plain"] = template
        self._lexer = Lexer(tokenizer)
        self._known: dict[tuple[Role, ...], tuple[str, ...]] = {}
        self._moved = False
        asked, replying = self._texts(("user", "assistant", "user", "assistant"))[2:4]
        end = self._closing(asked)
        self._end_text = self._lexer.split(end)[1]
        self._end = self._lexer.token_id(self._end_text)
        self._marks = self._user_marks(asked.removeprefix(end), replying)
        self.begin_id = self._lexer.begin_id
        """Beginning-of-sequence, or None."""
        self._moved = self._melts()
        if double_start(self.encode(_talk("b")).whole.ids, self.begin_id):
            raise ModelError(
                f"Conversations would begin with '{tokenizer.bos_token}' twice.",
                hint="Take one out of the chat template of the tokenizer.",
            )

    @property
    def version(self) -> str:
        """Names the way of writing; whoever changes it raises it."""
        return VERSIONS[self._template]

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a reply: the template's end of turn, and end-of-sequence."""
        end = self._lexer.end_id
        return frozenset({self._end} if end is None else {self._end, end})

    def encode(self, conversation: Conversation) -> EncodedTurns:
        """The conversation, every reply with the token that ends it a target.

        Raises:
            DataError: a text is no text (half a surrogate pair).
            ModelError: the template cannot render these roles in this order.
        """
        pieces = self._fill(conversation)
        replies = [2 * i + 1 for i, t in enumerate(conversation.turns) if t.role == "assistant"]
        texts: list[Filled] = []
        for place in replies:
            closing = pieces[place + 1]
            assert isinstance(closing, str)
            before = self._up_to(pieces, place)
            texts += [before, (*pieces[: place + 1], self._closing(closing))]
        read = [self._start + ids for ids in self._lexer.read(texts)]
        whole = read[-1]
        targets = [False] * len(whole)
        merged = False
        for before, said in zip(read[::2], read[1::2], strict=True):
            merged = merged or seam_mismatch(before, said) or seam_mismatch(said, whole)
            for place in range(target_start(before, whole), min(len(said), len(whole))):
                targets[place] = True
        return EncodedTurns(
            EncodedExample(whole, tuple(targets)),
            prompt_length=len(read[-2]),
            first_prompt=len(read[0]),
            merged=merged,
        )

    def prompt_ids(self, conversation: Conversation) -> tuple[int, ...]:
        """The tokens that the last reply is generated from.

        Raises:
            DataError, ModelError: as for `encode`.
        """
        pieces = self._fill(conversation)
        [ids] = self._lexer.read([self._up_to(pieces, len(pieces) - 2)])
        return self._start + ids

    def takes_both_sides(self, text: str) -> bool:
        """Whether a written reply goes on with the user's turn.

        It does if it holds what the template puts in front of a user's text, a control token of
        that, or a line that begins with `User:` or `Human:`.
        """
        marked = any(mark in text for mark in self._marks)
        return marked or _USER_SPEAKS.search(text) is not None

    @property
    def _start(self) -> tuple[int, ...]:
        """What the template writes itself, unless it is ours."""
        return self._lexer.start_ids if self._template == "plain" else ()

    def _fill(self, conversation: Conversation) -> list[str | Quoted]:
        """Text of the template and of the turns by turns, text of the template first and last."""
        for number, turn in enumerate(conversation.turns, start=1):
            _check_text(turn.text, f"Row '{conversation.id}', turn {number}")
        literals = self._texts(tuple(turn.role for turn in conversation.turns))
        pieces: list[str | Quoted] = [literals[0]]
        for turn, literal in zip(conversation.turns, literals[1:], strict=True):
            pieces += [Quoted(turn.text), literal]
        return pieces

    def _up_to(self, pieces: Sequence[str | Quoted], place: int) -> Filled:
        """What stands before a reply, without white space that its first token may take in."""
        last = pieces[place - 1]
        assert isinstance(last, str)
        return (*pieces[: place - 1], last.rstrip() if self._moved else last.rstrip(" "))

    def _texts(self, roles: tuple[Role, ...]) -> tuple[str, ...]:
        """The texts of the template before, between and behind turns of these roles."""
        if roles not in self._known:
            self._known[roles] = self._write(roles)
        return self._known[roles]

    def _write(self, roles: Sequence[Role]) -> tuple[str, ...]:
        match self._template:
            case "model":
                messages = [Message(role, (Quoted(""),)) for role in roles]
                pieces = render(self._tokenizer, messages, instead="task.template=plain")
                return tuple(piece for piece in pieces if isinstance(piece, str))
            case "plain":
                end = self._tokenizer.eos_token
                if not isinstance(end, str):
                    raise ModelError(
                        "The tokenizer has no end-of-sequence token: a model could not learn to "
                        "stop.",
                        hint="Name one of its tokens as eos_token in tokenizer_config.json.",
                    )
                closings = [end if role == "assistant" else "" for role in roles]
                heads = [_HEADINGS[role] for role in roles]
                between = [
                    f"{closing}\n\n{head}"
                    for closing, head in zip(closings[:-1], heads[1:], strict=True)
                ]
                return (heads[0], *between, closings[-1])
            case _:
                assert_never(self._template)

    def _closing(self, text: str) -> str:
        """What ends a turn of the assistant: the text behind it up to a control token."""
        closing = up_to_control(text, self._lexer)
        if not closing:
            raise ModelError(
                "The chat template puts no control token behind a turn of the assistant: a model "
                "could not learn to stop.",
                hint="Say task.template=plain, or repair tokenizer.chat_template.",
            )
        return closing

    def _user_marks(self, asked: str, replying: str) -> tuple[str, ...]:
        """What stands before a user's text and not before the assistant's, and what opens it."""
        mark = asked.strip()
        opening = [each for each in self._lexer.split(asked)[1::2] if each != self._end_text]
        whole = (mark,) if len(mark) > 2 and mark not in replying else ()
        return (*whole, *opening)

    def _melts(self) -> bool:
        """Whether a reply's first token may take in white space that ends the prompt."""
        return any(self.encode(_talk(first + "b")).merged for first in FIRST_CHARACTERS)


def _talk(reply: str) -> Conversation:
    turns = (Turn("user", "a"), Turn("assistant", reply))
    return Conversation(id="probe", turns=turns, group="", gold=(reply,))


def _check_text(text: str, place: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}, character {error.start}"
        raise DataError(
            f"{place} has half a surrogate pair ({half}), which is no character.",
            hint="Write the file again as UTF-8, with whole characters.",
        ) from error
