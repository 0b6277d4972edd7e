"""From what a decoder wrote to predictions: answers, and the scores behind an abstention.

The decoder is asked twice. Freely, it writes a response, off which the answer is read. Then, by
teacher forcing, it says how probable two finished strings are, in its own distribution with nothing
masked: the answer and the no-answer word, both as training would have written them, up to and with
the end-of-sequence token:

    span_score = log p(answer, end | prompt)       null_score = log p(no-answer word, end | prompt)

(A constrained decoder's own probabilities are renormalised at each token and say nothing about
that.) These are the sums that an encoder's start and end logits stand in for, so that thresholds
and curves are one code for both kinds of model. A threshold can withhold an answer and never find
one: where the decoder itself says that there is none, the prediction stays empty. As both scores
depend on how the answer was decoded, a threshold is chosen anew for each way of decoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tunelab.data import Example
from tunelab.errors import DivergedError
from tunelab.evaluation.parsing import ParsedAnswer, Style, read_answer, well_formed
from tunelab.prompts.encoded import EncodedExample
from tunelab.records import Decoded, Prediction

Scorer = Callable[[Sequence[EncodedExample]], tuple[Iterable[float], Iterable[int]]]
"""E encoded examples -> for each the sum of its targets' log-probabilities, and their number."""


class Generated(Protocol):
    """What a decoder wrote for one example."""

    @property
    def text(self) -> str:
        """Without special tokens."""
        ...

    @property
    def finished(self) -> bool:
        """Whether it stopped by itself, not at the limit of tokens."""
        ...


class AnswerPrompt(Protocol):
    """How examples are put to a decoder, and how it is to answer."""

    @property
    def style(self) -> Style:
        """How an answer is written."""
        ...

    @property
    def no_answer(self) -> str:
        """The word for "no answer"."""
        ...

    @property
    def stops(self) -> Sequence[str]:
        """Where a plain answer ends."""
        ...

    def text(self, example: Example) -> str:
        """The prompt, up to where the response begins."""
        ...

    def encode(self, example: Example, answer: str) -> EncodedExample:
        """Prompt and finished answer, whose tokens are the targets; "" is the no-answer word."""
        ...


def decode_answers(
    examples: Sequence[Example],
    generated: Sequence[Generated],
    *,
    prompt: AnswerPrompt,
    score: Scorer,
) -> list[Prediction]:
    """One prediction per example, as decoded; `apply_threshold` may withhold answers.

    A response that cannot be read has no finished answer: its span score is minus infinity, so
    that every threshold withholds it.

    Raises:
        DivergedError: the model's log-probabilities are not numbers.
    """
    parsed = [
        read_answer(row.text, style=prompt.style, no_answer=prompt.no_answer, stops=prompt.stops)
        for row in generated
    ]
    return [
        Prediction(
            id=example.id,
            group=example.group,
            article=example.article,
            output=answer.answer,
            answer=answer.answer,
            gold=example.gold,
            span_score=span,
            null_score=null,
            decoded=Decoded(
                prompt=well_formed(prompt.text(example)),
                response=well_formed(row.text),
                valid=answer.valid,
                finished=row.finished,
                span_tokens=span_tokens,
                null_tokens=null_tokens,
            ),
        )
        for example, row, answer, ((span, span_tokens), (null, null_tokens)) in zip(
            examples, generated, parsed, _scored(examples, parsed, prompt, score), strict=True
        )
    ]


_Scored = tuple[float, int]
"""Log-probability of a finished string, and how many tokens that is."""


def _scored(
    examples: Sequence[Example],
    parsed: Sequence[ParsedAnswer],
    prompt: AnswerPrompt,
    score: Scorer,
) -> list[tuple[_Scored, _Scored]]:
    """For each example its answer and the no-answer word, all of them scored in one call."""
    alternatives: list[EncodedExample] = []
    for example, answer in zip(examples, parsed, strict=True):
        if answer.valid and answer.answer:
            alternatives.append(prompt.encode(example, answer.answer))
        alternatives.append(prompt.encode(example, ""))
    if not alternatives:
        return []
    sums, counts = score(alternatives)
    found = iter(zip(sums, counts, strict=True))
    scored: list[tuple[_Scored, _Scored]] = []
    for answer in parsed:
        span = _finite(next(found)) if answer.valid and answer.answer else None
        null = _finite(next(found))
        if span is None:  # said that there is no answer, or nothing that can be read
            span = null if answer.valid else (-math.inf, 0)
        scored.append((span, null))
    return scored


def _finite(found: tuple[float, int]) -> _Scored:
    log_prob, tokens = float(found[0]), int(found[1])
    if not math.isfinite(log_prob):
        raise DivergedError(
            f"The model gives an answer the log-probability {log_prob}.",
            hint="Its weights are no numbers any more; lower training.learning_rate.",
        )
    return log_prob, tokens
