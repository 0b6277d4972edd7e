"""Metrics, official and literal, from plain values: no files, no models, no intervals."""

from tunelab.metrics.literal import LiteralScore, answer_literal, score_literal
from tunelab.metrics.selective import RiskCoverage, risk_coverage
from tunelab.metrics.squad import (
    SquadScore,
    SquadVersion,
    answer_exact,
    answer_f1,
    normalise,
    score_squad,
)

__all__ = [
    "LiteralScore",
    "RiskCoverage",
    "SquadScore",
    "SquadVersion",
    "answer_exact",
    "answer_f1",
    "answer_literal",
    "normalise",
    "risk_coverage",
    "score_literal",
    "score_squad",
]
