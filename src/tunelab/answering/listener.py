"""Hears a reply while it is written: text as soon as it is certain, and log-probabilities.

To `tokentree` it is a guide that allows everything; so a reply can also be ended from outside,
when it has said a stop text or nobody listens any more. Text is told in pieces of whole characters,
and what may yet turn out to be the beginning of a stop text is held back.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

Finish = Literal["stop", "length"]

_UNFINISHED = "\ufffd"


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token of a reply, and what the model thought of its rivals."""

    text: str
    log_prob: float
    rivals: tuple[tuple[str, float], ...]
    """Text and log-probability of the likeliest tokens, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of a reply."""

    text: str
    scores: tuple[TokenScore, ...] = ()
    """Of the tokens since the piece before, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply."""

    text: str
    """Without the stop text that ended it."""
    finished: Finish
    """stop: by a stop token or text, or because nobody listened. length: at the limit of tokens."""
    prompt_tokens: int
    tokens: int
    """Written, the stop token included."""
    scores: tuple[TokenScore, ...]
    """Of every token but the stop token; empty where they were not asked for."""


class Listener:
    """Of one reply. It may be told from another thread that nobody listens any more.

    Args:
        tokenizer: of the model.
        limit: tokens of the reply.
        stop_ids: tokens that end it.
        stop_texts: texts that end it, and are no part of it.
        rivals: how many rivals of each token are told; None: no scores at all.
        hear: is given the pieces, on the model's thread; it must not take long.
        left: set from any thread when nobody listens any more; the next token is then the last.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        limit: int,
        stop_ids: frozenset[int],
        stop_texts: Sequence[str],
        rivals: int | None,
        hear: Callable[[Piece], None],
        left: threading.Event,
    ) -> None:
        self._tokenizer = tokenizer
        self._limit = limit
        self._stop_ids = stop_ids
        self._stop_texts = tuple(filter(None, stop_texts))
        self._rivals = rivals
        self._hear = hear
        self._left = left
        self._ids: list[int] = []
        self._tokens = 0
        self._scores: list[TokenScore] = []
        self._told = ""
        self._told_scores = 0
        self._finished: Finish | None = None
        self._logits: Tensor | None = None

    @property
    def complete(self) -> bool:
        """Whether the reply is over."""
        return self._finished is not None or self._left.is_set()

    def allowed(self, logits: Tensor) -> Tensor:
        """(V,) logits -> (V,) bool: anything."""
        self._logits = logits.clone() if self._rivals is not None else None
        return torch.ones_like(logits, dtype=torch.bool)

    def advance(self, token: int) -> None:
        """Hear a token."""
        self._tokens += 1
        if token in self._stop_ids:
            self._finished = "stop"
        else:
            self._ids.append(token)
            if self._logits is not None:
                self._scores.append(self._score(token, self._logits))
            if self._cut() is not None:
                self._finished = "stop"
            elif self._tokens >= self._limit:
                self._finished = "length"
        self._tell()

    def hurry(self) -> None:
        """The model has no more room."""
        self._finished = self._finished or "length"
        self._tell()

    def fork(self) -> Self:
        """An independent copy."""
        return copy.copy(self)

    def reply(self, *, prompt_tokens: int) -> Reply:
        """What was said, once it is complete."""
        return Reply(
            self._told, self._finished or "stop", prompt_tokens, self._tokens, tuple(self._scores)
        )

    def _tell(self) -> None:
        """Hand on the text that nothing can change any more."""
        text = self._decode(self._ids)
        over = self._finished is not None
        if (cut := self._cut()) is not None:
            text = text[:cut]
        elif not over:
            text = text[: len(text) - self._uncertain(text)]
        if not over and (text.endswith(_UNFINISHED) or not text.startswith(self._told)):
            return
        more, scores = text[len(self._told) :], self._scores[self._told_scores :]
        if more or (over and scores):
            self._told, self._told_scores = text, len(self._scores)
            self._hear(Piece(more, tuple(scores)))

    def _cut(self) -> int | None:
        """Where the first stop text begins."""
        if not self._stop_texts:
            return None
        text = self._decode(self._ids)
        found = [place for stop in self._stop_texts if (place := text.find(stop)) >= 0]
        return min(found, default=None)

    def _uncertain(self, text: str) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        return max(
            (
                length
                for stop in self._stop_texts
                for length in range(1, len(stop))
                if text.endswith(stop[:length])
            ),
            default=0,
        )

    def _score(self, token: int, logits: Tensor) -> TokenScore:
        log_probs = logits.log_softmax(dim=0)
        values, best = log_probs.topk(min(self._rivals or 0, len(log_probs)))
        rivals = [
            (self._decode([index]), value)
            for index, value in zip(best.tolist(), values.tolist(), strict=True)
        ]
        return TokenScore(self._decode([token]), float(log_probs[token]), tuple(rivals))

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text
