"""Intervals, paired differences and verdicts: how sure a score is, and which differences are real.

Values come in as arrays of seeds x items with the paragraph of every item; no files, no models.
"""

from tunelab.statistics.interval import Difference, Interval, mean_interval, paired_difference
from tunelab.statistics.verdict import Outcome, Verdict, holm, judge

__all__ = [
    "Difference",
    "Interval",
    "Outcome",
    "Verdict",
    "holm",
    "judge",
    "mean_interval",
    "paired_difference",
]
