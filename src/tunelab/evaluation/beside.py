"""What stands beside the official figures: the literal match, and risk against coverage. No torch.

Both are about what the model said itself: a decoder's answers before any threshold, an extractive
model's best spans (for the literal match, its final answers: it does not say "no answer" itself).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunelab.metrics import LiteralScore, RiskCoverage, answer_f1, risk_coverage, score_literal
from tunelab.records import Prediction

LITERAL = (
    "literal match as in LLaMA SQuAD: the answer as decoded (of an extractive model or a plain "
    "file: the final answer) is a gold answer letter by letter; not SQuAD's exact match; fraction"
)
RISK_COVERAGE = (
    "area under risk against coverage; answered in the order of span score - null score, ties at "
    "their mean; risk: mean of 1 - F1 among the answered, 1 where there is no answer or none was "
    "given; fraction, lower is better"
)


def literal_score(predictions: Sequence[Prediction]) -> LiteralScore:
    """The literal match of what was said; with validity where all of it was decoded."""
    return score_literal(
        {row.id: row.gold for row in predictions},
        {row.id: said(row) for row in predictions},
        formatted=all(row.decoded is not None for row in predictions),
    )


def said(row: Prediction) -> str | None:
    """The answer that the model gave itself: "" for "no answer", None where none was readable."""
    if row.decoded is None:
        return row.answer
    return row.output if row.decoded.valid else None


def answering_curve(predictions: Sequence[Prediction]) -> RiskCoverage | None:
    """Risk against coverage; None where predictions have no scores.

    Every answer to a question without one is wrong, and so is a prediction without an answer, which
    also comes last: no threshold makes it answer.
    """
    confidence = [
        (row.span_score - row.null_score if row.output else -math.inf)
        for row in predictions
        if row.span_score is not None and row.null_score is not None
    ]
    if not confidence or len(confidence) < len(predictions):
        return None
    losses = [
        1.0 - answer_f1(row.output, row.gold) if row.gold and row.output else 1.0
        for row in predictions
    ]
    return risk_coverage(losses, confidence)
