"""Best spans and the score of "no answer" from start and end logits.

A span scores start logit + end logit; spans run forwards, lie in the context, and are at most
`max_answer_tokens` long. "No answer" scores the same sum at [CLS], the lowest over an example's
windows: a window that finds an answer speaks against "no answer". Both as in the BERT paper (arXiv
1810.04805, section 4.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.data import Example
from tunelab.prompts.windows import Window
from tunelab.records import Prediction, Span

KEPT_SPANS = 5
"""Candidates kept per prediction, of different text."""

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowLogits:
    """What the model said about one window; both arrays have the window's length."""

    window: Window
    start: Logits
    end: Logits


def read_spans(
    examples: Sequence[Example],
    outputs: Iterable[WindowLogits],
    *,
    n_best: int,
    max_answer_tokens: int,
) -> list[Prediction]:
    """One prediction per example, always answered; `apply_threshold` withholds answers."""
    spans: list[list[Span]] = [[] for _ in examples]
    nulls = [float("inf")] * len(examples)
    for output in outputs:
        index = output.window.example
        spans[index] += best_spans(
            output,
            examples[index].context,
            n_best=n_best,
            max_answer_tokens=max_answer_tokens,
        )
        null = output.window.null_position
        nulls[index] = min(nulls[index], float(output.start[null] + output.end[null]))
    return [
        _prediction(example, _distinct(candidates), null)
        for example, candidates, null in zip(examples, spans, nulls, strict=True)
    ]


def best_spans(
    output: WindowLogits, context: str, *, n_best: int, max_answer_tokens: int
) -> list[Span]:
    """The `n_best` best spans of one window, best first.

    Starts and ends are each taken from the `n_best` positions with the highest logits; ties go to
    the earlier position.
    """
    window = output.window
    inside = slice(window.context_start, window.context_start + len(window.offsets))
    starts, ends = output.start[inside], output.end[inside]
    s = np.argsort(-starts, kind="stable")[:n_best]
    e = np.argsort(-ends, kind="stable")[:n_best]
    scores = starts[s][:, None] + ends[e][None, :]  # (n_best, n_best)
    length = e[None, :] - s[:, None] + 1
    scores = np.where((length >= 1) & (length <= max_answer_tokens), scores, -np.inf)
    order = np.argsort(-scores, axis=None, kind="stable")[:n_best]
    found: list[Span] = []
    for row, column in zip(*np.unravel_index(order, scores.shape), strict=True):
        if not np.isfinite(scores[row, column]):
            break
        first, last = window.offsets[int(s[row])][0], window.offsets[int(e[column])][1]
        text, score = context[first:last], float(scores[row, column])
        found.append(Span(text=text, start=first, score=score))
    return found


def apply_threshold(predictions: Iterable[Prediction], threshold: float | None) -> list[Prediction]:
    """Withhold the answer where null score - span score is above the threshold.

    None answers every question, as version 1.1 asks for.
    """
    return [
        row.model_copy(update={"answer": row.output if _answers(row, threshold) else ""})
        for row in predictions
    ]


def _answers(row: Prediction, threshold: float | None) -> bool:
    if threshold is None or row.null_score is None or row.span_score is None:
        return True
    return row.null_score - row.span_score <= threshold


def _distinct(spans: list[Span]) -> list[Span]:
    """The best spans of different text."""
    best: dict[str, Span] = {}
    for span in sorted(spans, key=lambda span: (-span.score, span.start, len(span.text))):
        best.setdefault(span.text, span)
    return list(best.values())[:KEPT_SPANS]


def _prediction(example: Example, spans: list[Span], null: float) -> Prediction:
    best = spans[0] if spans else Span(text="", start=0, score=float("-inf"))
    return Prediction(
        id=example.id,
        group=example.group,
        article=example.article,
        output=best.text,
        answer=best.text,
        gold=example.gold,
        span_score=best.score,
        null_score=null,
        n_best=tuple(spans),
    )
