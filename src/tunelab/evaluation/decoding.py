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
from tunelab.records import Decoded, Finish, Prediction

Scorer = Callable[[Sequence[EncodedExample]], tuple[Iterable[float], Iterable[int]]]
"""E encoded examples -> for each the sum of its targets' log-probabilities, and their number."""


class Generated(Protocol):
    """What a decoder wrote for one example."""

    @property
    def text(self) -> str:
        """All of it, without the token that ended it."""
        ...

    @property
    def finished(self) -> Finish:
        """Whether it stopped by itself, or at the limit of tokens."""
        ...


class Asking(Protocol):
    """How examples are put to a decoder, as far as reading its answers goes."""

    @property
    def no_answer(self) -> str:
        """The word for "no answer"."""
        ...

    @property
    def stop_texts(self) -> Sequence[str]:
        """Where a plain answer is over."""
        ...

    def answer_ids(self, example: Example, answer: str) -> EncodedExample:
        """Prompt and finished answer, whose tokens are the targets."""
        ...


def decode_answers(
    examples: Sequence[Example],
    prompts: Sequence[str],
    generated: Sequence[Generated],
    *,
    asking: Asking,
    style: Style,
    score: Scorer,
) -> list[Prediction]:
    """One prediction per example, as decoded; `apply_threshold` may withhold answers.

    A response that cannot be read has no finished answer: its span score is minus infinity, so
    that every threshold withholds it.

    Args:
        examples: what was asked; N of them.
        prompts: (N,) what the decoder was given, as text.
        generated: (N,) what it wrote.
        asking: no-answer word, stops, and the tokens of a finished answer.
        style: of the answers.
        score: teacher forcing; called once, an example's alternatives side by side.

    Raises:
        DivergedError: the model's log-probabilities are not numbers.
    """
    parsed = [
        read_answer(row.text, style=style, no_answer=asking.no_answer, stops=asking.stop_texts)
        for row in generated
    ]
    scores = _scored(examples, parsed, asking, score)
    return [
        _prediction(example, well_formed(prompt), row, answer, *scored)
        for example, prompt, row, answer, scored in zip(
            examples, prompts, generated, parsed, scores, strict=True
        )
    ]


_Scored = tuple[float, int]
"""Log-probability of a finished string, and how many tokens that is."""


def _scored(
    examples: Sequence[Example],
    parsed: Sequence[ParsedAnswer],
    asking: Asking,
    score: Scorer,
) -> list[tuple[_Scored, _Scored]]:
    """For each example its answer and the no-answer word, all of them scored in one call."""
    alternatives: list[EncodedExample] = []
    for example, answer in zip(examples, parsed, strict=True):
        if answer.valid and answer.answer:
            alternatives.append(asking.answer_ids(example, answer.answer))
        alternatives.append(asking.answer_ids(example, asking.no_answer))
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


def _prediction(
    example: Example,
    prompt: str,
    generated: Generated,
    parsed: ParsedAnswer,
    span: _Scored,
    null: _Scored,
) -> Prediction:
    return Prediction(
        id=example.id,
        group=example.group,
        article=example.article,
        output=parsed.answer,
        answer=parsed.answer,
        gold=example.gold,
        span_score=span[0],
        null_score=null[0],
        decoded=Decoded(
            prompt=prompt,
            response=well_formed(generated.text),
            valid=parsed.valid,
            finished=generated.finished,
            span_tokens=span[1],
            null_tokens=null[1],
        ),
    )


def _finite(found: tuple[float, int]) -> _Scored:
    log_prob, tokens = float(found[0]), int(found[1])
    if not math.isfinite(log_prob):
        raise DivergedError(
            f"The model gives an answer the log-probability {log_prob}.",
            hint="Its weights are no numbers any more; lower training.learning_rate.",
        )
    return log_prob, tokens
