"""Text to tokens, so that only the template can write a control token.

A text is tokenised whole. Where a context or a question holds a control token's text ("</s>",
"<|im_end|>"), it is tokenised again with that text taken as ordinary characters: nobody ends a turn
from inside a paragraph.

It adds no beginning-of-sequence itself; a caller that wants one asks for `start_ids`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunelab.errors import DataError, ModelError
from tunelab.prompts.frame import Filled, Quoted

_TEXTS_AT_ONCE = 512
"""The tokenizer's own records of a text are large; this many are held at a time."""


class Lexer:
    """A tokenizer that knows which text may hold control tokens.

    Control tokens are the tokenizer's special tokens, and all further added tokens that the chat
    template writes (as "<think>").

    Raises:
        ModelError: the tokenizer is not one of the `tokenizers` library.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                f"The tokenizer {type(tokenizer).__name__} has no fast form, which prompts need.",
                hint="Use a checkpoint with a tokenizer.json.",
            )
        self._tokenizer = tokenizer
        template = str(tokenizer.chat_template or "")
        added: Any = tokenizer.added_tokens_decoder
        self._ids: dict[str, int] = {
            token.content: index
            for index, token in added.items()
            if token.special or token.content in template
        }
        longest_first = sorted(self._ids, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, longest_first))
        self._control = re.compile(f"({alternatives})" if alternatives else "((?!))")
        unknown = _id(tokenizer.unk_token_id)  # stands for any odd character, so is not counted
        self._counted = frozenset(self._ids.values()) - {unknown}
        self.begin_id = _id(tokenizer.bos_token_id)
        """Beginning-of-sequence, or None."""
        self.end_id = _id(tokenizer.eos_token_id)
        """End-of-sequence, or None."""
        self.pad_id = _id(tokenizer.pad_token_id)
        """Padding, or None."""

    @property
    def start_ids(self) -> tuple[int, ...]:
        """Beginning-of-sequence, where the tokenizer itself begins every text with it."""
        ids: Any = self._tokenizer("a")["input_ids"]
        return (ids[0],) if ids[0] == self.begin_id else ()

    def split(self, text: str) -> list[str]:
        """Ordinary text and control tokens by turns, ordinary text first and last."""
        return self._control.split(text)

    def token_id(self, control: str) -> int:
        """The id of a control token."""
        return self._ids[control]

    def quotes_control(self, text: str) -> bool:
        """Whether a text from outside holds the text of a control token."""
        return self._control.search(text) is not None

    def read(self, texts: Sequence[Filled]) -> list[tuple[int, ...]]:
        """The tokens of each text.

        Raises:
            DataError: a quoted text becomes a control token however it is taken.
        """
        rows: list[tuple[int, ...]] = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            batch = texts[first : first + _TEXTS_AT_ONCE]
            encoded: Any = self._tokenizer(
                [_joined(text) for text in batch], add_special_tokens=False, verbose=False
            )
            for text, ids in zip(batch, encoded["input_ids"], strict=True):
                rows.append(tuple(ids if self._is_clean(text, ids) else self._read_apart(text)))
        return rows

    def _is_clean(self, text: Filled, ids: Sequence[int]) -> bool:
        """Whether all control tokens are the template's own."""
        meant = sum(len(self.split(part)) // 2 for part in text if isinstance(part, str))
        unknown = self._tokenizer.unk_token
        return sum(token in self._counted for token in ids) == meant and not (
            isinstance(unknown, str)
            and any(unknown in part.text for part in text if isinstance(part, Quoted))
        )

    def _read_apart(self, text: Filled) -> list[int]:
        """The template's control tokens, and between them only ordinary tokens."""
        ids: list[int] = []
        stretch = ""
        for part in text:
            if isinstance(part, Quoted):
                stretch += part.text
                continue
            ordinary, *rest = self.split(part)
            stretch += ordinary
            for control, ordinary in zip(rest[::2], rest[1::2], strict=True):
                ids += [*self._spell(stretch), self._ids[control]]
                stretch = ordinary
        return ids + self._spell(stretch)

    def _spell(self, text: str) -> list[int]:
        """Tokens of a text, none of them a control token.

        `split_special_tokens` does it for special tokens; other added tokens are cut in two.
        """
        if not text:
            return []
        encoded: Any = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        ids: list[int] = encoded["input_ids"]
        if not any(token in self._counted for token in ids):
            return ids
        found = next((m for m in self._control.finditer(text) if len(m[0]) > 1), None)
        if found is None:
            raise DataError(
                f"The tokenizer reads a control token in the text {text[:80]!r}.",
                hint="Remove it from the data, or from the special tokens of the tokenizer.",
            )
        cut = found.start() + 1
        return self._spell(text[:cut]) + self._spell(text[cut:])


def _id(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _joined(text: Filled) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in text)
