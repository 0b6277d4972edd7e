"""Official metrics, from plain values: no files, no models, no intervals."""

from tunelab.metrics.squad import (
    SquadScore,
    SquadVersion,
    answer_exact,
    answer_f1,
    normalise,
    score_squad,
)

__all__ = [
    "SquadScore",
    "SquadVersion",
    "answer_exact",
    "answer_f1",
    "normalise",
    "score_squad",
]
