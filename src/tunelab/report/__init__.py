"""The answer of a study, from the files of an output directory: table, verdicts, page."""

from tunelab.report.commands import compare_runs, write_answers, write_report
from tunelab.report.recommendation import Advice, CostName, Limit, Limits
from tunelab.report.report import Report

__all__ = [
    "Advice",
    "CostName",
    "Limit",
    "Limits",
    "Report",
    "compare_runs",
    "write_answers",
    "write_report",
]
