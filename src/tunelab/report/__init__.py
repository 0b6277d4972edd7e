"""Tables and verdicts from the files of an output directory."""

from tunelab.report.report import Report, compare_runs, write_answers, write_report

__all__ = ["Report", "compare_runs", "write_answers", "write_report"]
