"""From log-likelihoods of choices to predictions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunelab.data import ChoiceExample
from tunelab.metrics.choices import NONE, likeliest
from tunelab.records import Decoded, Finish, Prediction, Weighed

_WORD = re.compile(r"[a-z]+")


def chosen(example: ChoiceExample, texts: Sequence[str], log_probs: Sequence[float]) -> Prediction:
    """The prediction of a question whose choices were weighed.

    Args:
        example: with C choices.
        texts: (C,) the choices as they were weighed: their letters or their texts.
        log_probs: (C,) sums over tokens; empty where the question could not be read.
    """
    best = likeliest(log_probs)
    answer = "" if best == NONE else example.choices[best]
    weighed = Weighed(
        choices=tuple(texts),
        log_probs=tuple(log_probs),
        answer=example.answer,
        also_true=example.also_true,
    )
    return _prediction(example, answer, weighed=weighed)


def written(example: ChoiceExample, prompt: str, response: str, *, finished: Finish) -> Prediction:
    """The prediction of a question that was answered in words: the first choice that is named."""
    named = [word for word in _WORD.findall(response.lower()) if word in example.choices]
    decoded = Decoded(
        prompt=prompt,
        response=response,
        valid=bool(named),
        finished=finished,
        span_tokens=0,
        null_tokens=0,
    )
    return _prediction(example, named[0] if named else "", decoded=decoded)


def _prediction(
    example: ChoiceExample,
    answer: str,
    *,
    weighed: Weighed | None = None,
    decoded: Decoded | None = None,
) -> Prediction:
    return Prediction(
        id=example.id,
        group=example.group,
        article=example.article,
        output=answer,
        answer=answer,
        gold=example.gold,
        weighed=weighed,
        decoded=decoded,
    )
