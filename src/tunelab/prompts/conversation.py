"""Any conversation as tokens: what somebody says to a decoder in his own words.

All of it is text from outside, the system message included: a control token that is spelt out in
it ("<|im_end|>", "[/INST]") stays ordinary text, and the chat template sees marks in its place. The
tokens are those that a `Prompter` in the chat-json style makes of the same conversation.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.errors import DataError
from tunelab.prompts.chat import Message, frame_of
from tunelab.prompts.checks import seam_mismatch
from tunelab.prompts.frame import Filled, Frame, Quoted, Slot, move_seam
from tunelab.prompts.lexer import Lexer
from tunelab.prompts.prompter import FIRST_CHARACTERS, end_token

_SAMPLE = (Message("user", (Quoted("a"),)),)


class Conversations:
    """Puts conversations to a decoder through its own chat template.

    Args:
        tokenizer: with a chat template.

    Raises:
        ModelError: there is no template, or it does not do.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._lexer = Lexer(tokenizer)
        sample = self._frame(_SAMPLE)
        self._moved = self._melts(sample)
        end = self._lexer.end_id
        own = end_token(sample, self._lexer)
        self.stop_ids = frozenset({own} if end is None else {own, end})
        """Tokens that end a reply: the template's end of turn, and end-of-sequence."""

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens that a reply is generated from.

        Raises:
            ModelError: the template cannot render these roles in this order.
            DataError: a text is no text (half a surrogate pair), or there is none.
        """
        if not messages:
            raise DataError("There is no message to reply to.")
        _check(messages)
        frame = self._frame(messages)
        if self._moved:
            frame = move_seam(frame)
        return self._lexer.read([_filled(frame)])[0]

    def _frame(self, messages: Sequence[Message]) -> Frame:
        reply = Message("assistant", (Slot.ANSWER,))
        return frame_of(
            self._tokenizer, [*messages, reply], lexer=self._lexer, version="conversation-1"
        )

    def _melts(self, frame: Frame) -> bool:
        """Whether a reply's first token may take in white space that ends the prompt."""
        prompt = _filled(frame)
        target = [Quoted(frame.opening + first + "b") for first in FIRST_CHARACTERS]
        [alone, *wholes] = self._lexer.read([prompt, *((*prompt, each) for each in target)])
        return any(seam_mismatch(alone, whole) for whole in wholes)


def read_text(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """The tokens of a bare text to be continued, beginning-of-sequence included where it has one.

    Raises:
        DataError: it is no text.
    """
    check_text(text)
    lexer = Lexer(tokenizer)
    return lexer.start_ids + lexer.read([(Quoted(text),)])[0]


def said(message: Message) -> str:
    """The text of a message from outside."""
    return "".join(piece.text for piece in message.content if isinstance(piece, Quoted))


def _filled(frame: Frame) -> Filled:
    pieces = [piece for piece in frame.prompt if not isinstance(piece, Slot)]
    return tuple(pieces)


def _check(messages: Sequence[Message]) -> None:
    for message in messages:
        check_text(said(message))


def check_text(text: str) -> None:
    """Refuse what no tokenizer reads.

    Raises:
        DataError: it holds half a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"Half a surrogate pair (U+{ord(text[error.start]):04X}, character {error.start}) "
            "is no character.",
            hint="Send whole characters.",
        ) from error
