"""Intervals, paired differences and verdicts: how sure a score is, and which differences are real.

Values come in as arrays of seeds x items with the paragraph of every item; no files, no models.
"""

from tunelab.statistics.correction import Decision, decide, holm
from tunelab.statistics.interval import (
    Difference,
    Interval,
    difference,
    interval,
    mean_interval,
    paired_difference,
)
from tunelab.statistics.looks import ONCE, Schedule
from tunelab.statistics.mcnemar import McNemar, mcnemar
from tunelab.statistics.variance import Clusters, Sample
from tunelab.statistics.verdict import ALPHA, Outcome, Verdict, judge, judge_looks
from tunelab.statistics.wording import digits_for

__all__ = [
    "ALPHA",
    "ONCE",
    "Clusters",
    "Decision",
    "Difference",
    "Interval",
    "McNemar",
    "Outcome",
    "Sample",
    "Schedule",
    "Verdict",
    "decide",
    "difference",
    "digits_for",
    "holm",
    "interval",
    "judge",
    "judge_looks",
    "mcnemar",
    "mean_interval",
    "paired_difference",
]
