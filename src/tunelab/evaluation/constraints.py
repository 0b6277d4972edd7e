"""Answers that cannot be malformed: a guide for each, made of a grammar.

At every token the grammar says which tokens may come next, and decoding chooses among them; the
model's own probabilities stay as they are. An answer ends when its grammar is complete, or where it
may end, when the model says so. Once it has used up its tokens it is brought to its end: by the
likeliest token that finishes the word or escape that it is in, and the ending. So the promise holds
for every answer, also for one that is cut off.

With free reasoning the model writes what it likes first. The answer's opening is forced on it when
it would rather stop, or when it has used up the tokens for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tunelab.errors import ModelError, RecipeError, UsageError
from tunelab.evaluation.grammars import AnswerForm, json_grammar, span_grammar

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_TRIED = 256
"""Tokens that are tried, likeliest first, to find one behind which an answer can end."""


class AnswerConstraint:
    """What each of some prompts may be answered with.

    Args:
        kind: json: any answer, well-formed. span: a passage of the prompt's context.
        tokenizer: of the model; one of the `tokenizers` library.
        form: how an answer is written.
        contexts: of each prompt.
        stop_ids: tokens that a bare answer may end with.
        forced_start: tokens of the opening that the model is given to begin with.
        reasoning_tokens: free text of at most so many tokens comes before the opening; None: none.

    Raises:
        UsageError: llguidance is not installed.
        RecipeError: the form has no place for what is asked.
        ModelError: the tokenizer is of another kind.
    """

    def __init__(
        self,
        kind: Literal["json", "span"],
        tokenizer: PreTrainedTokenizerBase,
        form: AnswerForm,
        *,
        contexts: Sequence[str],
        stop_ids: frozenset[int],
        forced_start: Sequence[int] = (),
        reasoning_tokens: int | None = None,
    ) -> None:
        _check(kind, form, forced_start=forced_start, reasoning_tokens=reasoning_tokens)
        self._kind = kind
        self._form = form
        self._contexts = contexts
        self._forced_start = list(forced_start)
        self._reasoning_tokens = reasoning_tokens
        self._tokens = _token_texts(tokenizer, stop_ids)
        self._endings = [
            self._tokens.tokenize_str(form.ending[cut:]) for cut in range(len(form.ending) + 1)
        ]
        self._latest: tuple[str, LLMatcher] | None = None

    def begin(self, prompt: int) -> AnswerGuide:
        """The guide of a prompt's answer, behind the forced start."""
        thinking = self._reasoning_tokens is not None
        if self._kind == "json":
            grammar = json_grammar(self._form, reasoning=thinking)
        else:
            grammar = span_grammar(self._form, self._contexts[prompt], reasoning=thinking)
        if self._latest is None or self._latest[0] != grammar:
            self._latest = grammar, self._matcher(grammar)
        return AnswerGuide(
            self._latest[1].deep_copy(),
            self._tokens,
            endings=self._endings,
            mark=self._form.mark if thinking else None,
            thoughts=self._reasoning_tokens or 0,
        )

    def _matcher(self, grammar: str) -> LLMatcher:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokens, grammar)
        if not matcher.consume_tokens(self._forced_start):
            raise ModelError(
                f"No answer of the form {self._form.opening!r}... can begin with the tokens "
                f"{self._forced_start}: {matcher.get_error()}",
                hint="Turn evaluation.constrain off, or use another prompt.style.",
            )
        return matcher


class AnswerGuide:
    """What one answer may still become. V tokens of the vocabulary."""

    def __init__(
        self,
        matcher: LLMatcher,
        tokens: LLTokenizer,
        *,
        endings: Sequence[Sequence[int]],
        mark: str | None,
        thoughts: int,
    ) -> None:
        self._matcher = matcher
        self._tokens = tokens
        self._endings = endings
        self._mark = mark  # None once the answer has begun
        self._thoughts = thoughts
        self._tail = b""  # the last bytes of the reasoning
        self._forced: list[int] = []
        self._hurried = False
        if thoughts == 0:
            self._begin_answer()

    @property
    def complete(self) -> bool:
        """Whether the answer is finished and nothing can follow."""
        return self._matcher.is_stopped() or (self._hurried and self._matcher.is_accepting())

    def allowed(self, logits: Tensor) -> Tensor:
        """(V,) logits of the next token -> (V,) bool, at least one of them True."""
        possible = self._possible(logits)
        if self._mark is not None and int(logits.argmax()) in self._tokens.eos_tokens:
            self._begin_answer()
        if self._hurried and self._mark is None and not self._forced:
            self._forced = self._way_out(logits.masked_fill(~possible, -torch.inf))
        if self._forced and possible[self._forced[0]]:
            possible = torch.zeros_like(possible)
            possible[self._forced[0]] = True
        return possible

    def advance(self, token: int) -> None:
        """Take up a token that was allowed."""
        if not self._matcher.consume_token(token):
            raise ModelError(
                f"Token {token} was allowed, but llguidance refuses it: "
                f"{self._matcher.get_error()}",
                hint="Turn evaluation.constrain off.",
            )
        if self._forced and self._forced[0] == token:
            del self._forced[0]
        if self._mark is not None:
            self._think(self._mark.encode(), token)

    def hurry(self) -> None:
        """The answer has used up its tokens: from now on allow only what ends it soon."""
        self._hurried = True
        if self._mark is not None:
            self._begin_answer()

    def fork(self) -> AnswerGuide:
        """An independent copy."""
        copy = AnswerGuide(
            self._matcher.deep_copy(),
            self._tokens,
            endings=self._endings,
            mark=self._mark,
            thoughts=self._thoughts,
        )
        copy._tail, copy._forced, copy._hurried = self._tail, list(self._forced), self._hurried
        return copy

    def _think(self, mark: bytes, token: int) -> None:
        """Count a token of the reasoning, and see whether it has begun the answer."""
        seen = self._tail + self._tokens.decode_bytes([token])
        self._tail = seen[-len(mark) :]
        self._thoughts -= 1
        if mark in seen:
            self._mark = None
            self._forced = []
        elif self._thoughts == 0:
            self._begin_answer()

    def _begin_answer(self) -> None:
        if self._mark is not None and not self._forced:
            self._forced = self._tokens.tokenize_str(self._mark)

    def _possible(self, logits: Tensor) -> Tensor:
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        words = torch.from_numpy(np.unpackbits(bits, bitorder="little")).bool()
        possible = torch.zeros(len(logits), dtype=torch.bool)
        possible[: len(words)] = words[: len(logits)]
        if not possible.any():
            reason = self._matcher.get_error() or "the model has fewer tokens than the tokenizer"
            raise ModelError(
                f"No token can continue an answer: {reason}",
                hint="Turn evaluation.constrain off, or shorten the contexts.",
            )
        return possible.to(logits.device)

    def _way_out(self, logits: Tensor) -> list[int]:
        """Tokens that bring the answer to its end, or the first of them."""
        if (ending := self._ending(self._matcher)) is not None:
            return ending
        values, tokens = logits.topk(min(_TRIED, len(logits)))
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
            if value == -torch.inf:
                break
            later = self._matcher.deep_copy()
            if later.consume_token(token) and self._ending(later) is not None:
                return [token]
        return [int(tokens[0])]

    def _ending(self, matcher: LLMatcher) -> list[int] | None:
        """What is left of the answer's ending, if that is all that is left."""
        for ending in self._endings:
            later = matcher.deep_copy()
            if later.try_consume_tokens(list(ending)) == len(ending) and later.is_accepting():
                return list(ending)
        return None


def _check(
    kind: Literal["json", "span"],
    form: AnswerForm,
    *,
    forced_start: Sequence[int],
    reasoning_tokens: int | None,
) -> None:
    if kind == "json" and not form.json:
        raise RecipeError(
            "evaluation.constrain=json needs answers in JSON, and this prompt has bare ones.",
            hint="Say prompt.style=chat-json, or evaluation.constrain=span.",
        )
    if reasoning_tokens is None:
        return
    if not form.mark:
        raise RecipeError(
            "Free reasoning before a constrained answer needs an opening that tells the two apart.",
            hint="Say prompt.style=chat-json.",
        )
    if forced_start:
        raise RecipeError(
            "An answer cannot both begin with a forced start and come after free reasoning.",
            hint="Choose one of the two.",
        )


def _token_texts(tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int]) -> LLTokenizer:
    """The bytes of every token, as llguidance wants them; a second's work."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"The tokenizer {type(tokenizer).__name__} has no fast form, which constrained "
            "answers need.",
            hint="Turn evaluation.constrain off, or use a checkpoint with a tokenizer.json.",
        )
    try:
        from llguidance.hf import from_tokenizer
    except ModuleNotFoundError as error:
        raise UsageError(
            "Constrained answers need llguidance, which is not installed.",
            hint='Type: pip install "tunelab[constrain]"',
        ) from error
    return from_tokenizer(tokenizer, eos_token=sorted(stop_ids))
