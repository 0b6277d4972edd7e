"""What a person wants to see of an answer: its rivals, and how probable "no answer" is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunelab.records import Prediction


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible answer; empty text stands for "the context does not hold it"."""

    text: str
    probability: float
    """Among the candidates that are told; they add up to 1."""
    start: int | None
    """Unicode character offset in the context; None where it is not a passage of it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A prediction, and how sure it is."""

    prediction: Prediction
    """With the final answer: the run's own no-answer threshold has been applied."""
    no_answer_probability: float | None
    """logistic(null score - span score), as SQuAD's official script takes it; None: no scores."""
    candidates: tuple[Candidate, ...]
    """Likeliest first."""


def weigh(prediction: Prediction, context: str) -> Answered:
    """Put probabilities beside the scores of a prediction."""
    span, null = prediction.span_score, prediction.null_score
    if span is None or null is None:
        return Answered(prediction, None, ())
    scored: list[tuple[str, float, int | None]]
    if prediction.n_best:
        scored = [(each.text, each.score, each.start) for each in prediction.n_best]
    else:
        place = context.find(prediction.output)
        scored = [(prediction.output, span, place if place >= 0 else None)]
    if all(text for text, _, _ in scored):  # not where the model itself said that there is none
        scored.append(("", null, None))
    highest = max(score for _, score, _ in scored)
    weights = [math.exp(score - highest) for _, score, _ in scored]
    candidates = [
        Candidate(text, weight / sum(weights), start)
        for (text, _, start), weight in zip(scored, weights, strict=True)
    ]
    silent = not prediction.output and span == null
    return Answered(
        prediction,
        1.0 if silent else 0.5 * (1 + math.tanh((null - span) / 2)),
        tuple(sorted(candidates, key=lambda each: -each.probability)),
    )
