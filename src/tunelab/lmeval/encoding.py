"""Texts -> tokens, by the rules of lm-eval's own `hf` model (0.4.13), a batch at a time.

A pair of texts is tokenised whole and cut where the context alone ends; spaces at the end of the
context go over to the continuation. An empty context becomes the prefix token. What is too long
loses tokens on the left, which is counted. One call of the tokenizer takes many texts, and a
context that several continuations share is tokenised once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunelab.errors import DataError
from tunelab.tokentree.stems import Continuation, Tokens

AT_ONCE = 512
"""Texts of a call of the tokenizer."""


@dataclass(slots=True)
class Encoding:
    """How texts become tokens, and how many lost some."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    """Tokens that the model reads, virtual ones not counted."""
    add_bos_token: bool | None = None
    """None leaves it to the tokenizer."""
    prefix_token_id: int | None = None
    """Stands for an empty context; None: beginning-of-sequence, else end-of-sequence."""
    truncated: int = field(default=0, init=False)
    """Requests that lost tokens on the left, so far."""

    @property
    def prefix(self) -> int:
        """The token before an empty context.

        Raises:
            DataError: the tokenizer has none, and none was given.
        """
        for token in (
            self.prefix_token_id,
            self.tokenizer.bos_token_id,
            self.tokenizer.eos_token_id,
        ):
            if isinstance(token, int):
                return token
        raise DataError(
            "The tokenizer has neither a beginning- nor an end-of-sequence token.",
            hint="Give one as prefix_token_id=ID.",
        )

    def pairs(self, texts: Sequence[tuple[str, str]]) -> list[Continuation]:
        """(context, continuation) -> what the model is asked.

        Raises:
            DataError: a continuation has no token of its own, or more than the model reads.
        """
        moved = [_move_spaces(*pair) for pair in texts]
        contexts = self._encode_distinct(context for context, _ in moved if context)
        bare = self._encode_distinct(
            (continuation for context, continuation in moved if not context), special=False
        )
        encoded: list[Continuation] = []
        for start in range(0, len(moved), AT_ONCE):
            part = moved[start : start + AT_ONCE]
            wholes = self._encode([context + continuation for context, continuation in part])
            for (context, continuation), whole in zip(part, wholes, strict=True):
                if context:
                    given = contexts[context]
                    encoded.append(self._fit(given, whole[len(given) :], continuation))
                else:
                    encoded.append(self._unconditional(bare[continuation], continuation))
        return encoded

    def text(self, text: str) -> Tokens:
        """The tokens of one text."""
        return self._encode([text])[0]

    def prompts(self, texts: Sequence[str], *, room: int) -> list[Tokens]:
        """Texts to be continued, cut on the left so that `room` tokens fit behind them.

        Raises:
            DataError: nothing would be left of them.
        """
        longest = self.max_length - room
        if longest < 1:
            raise DataError(
                f"{room} tokens are to be written, and the model reads {self.max_length}: there is "
                "no room for a prompt.",
                hint="Lower max_gen_toks of the task (--gen_kwargs max_gen_toks=N).",
            )
        found = self._encode(texts)
        self.truncated += sum(len(ids) > longest for ids in found)
        return [ids[-longest:] for ids in found]

    def _unconditional(self, ids: Tokens, continuation: str) -> Continuation:
        if ids[:1] == (self.prefix,):
            return self._fit(ids[:1], ids[1:], continuation)
        return self._fit((self.prefix,), ids, continuation)

    def _fit(self, context: Tokens, targets: Tokens, continuation: str) -> Continuation:
        """The model reads all but the last target."""
        longest = self.max_length + 1
        if not 0 < len(targets) < longest:
            raise DataError(
                f"The continuation {continuation[:60]!r} has {len(targets)} tokens of its own; "
                f"the model can score 1 to {self.max_length}.",
                hint="The task does not go with this tokenizer, or needs a model that reads more.",
            )
        if len(context) + len(targets) > longest:
            self.truncated += 1
            context = context[len(targets) - longest :]
        return Continuation(context, targets)

    def _encode_distinct(
        self, texts: Iterable[str], *, special: bool | None = None
    ) -> dict[str, Tokens]:
        distinct = list(dict.fromkeys(texts))
        found: dict[str, Tokens] = {}
        for start in range(0, len(distinct), AT_ONCE):
            part = distinct[start : start + AT_ONCE]
            found.update(zip(part, self._encode(part, special=special), strict=True))
        return found

    def _encode(self, texts: Sequence[str], *, special: bool | None = None) -> list[Tokens]:
        """Texts that begin with the prefix token's text get no second one."""
        if special is None:
            begun = str(self.tokenizer.decode(self.prefix))
            twice = [text.startswith(begun) for text in texts]
        else:
            twice = [False] * len(texts)
        groups: dict[bool | None, list[int]] = {}
        for index, already in enumerate(twice):
            wanted = False if already else self.add_bos_token if special is None else special
            groups.setdefault(wanted, []).append(index)
        found: dict[int, Tokens] = {}
        for wanted, members in groups.items():
            chosen = [texts[index] for index in members]
            choice: dict[str, Any] = {} if wanted is None else {"add_special_tokens": wanted}
            rows = self.tokenizer(chosen, return_attention_mask=False, verbose=False, **choice)
            found.update(zip(members, map(tuple, rows.input_ids), strict=True))
        return [found[index] for index in range(len(texts))]


def _move_spaces(context: str, continuation: str) -> tuple[str, str]:
    stripped = context.rstrip()
    return (stripped, context[len(stripped) :] + continuation) if context else ("", continuation)
