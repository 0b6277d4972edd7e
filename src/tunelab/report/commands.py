"""What `tunelab report` and `tunelab compare` do: read directories, write reports beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tunelab.records import find_runs, write_atomically
from tunelab.report.answers import answers_csv
from tunelab.report.beside import curves
from tunelab.report.card import write_card
from tunelab.report.charts import risk_chart
from tunelab.report.comparing import (
    Comparison,
    compare_all,
    refuse_different_items,
    refuse_unfinished,
)
from tunelab.report.intersection import on_shared_items
from tunelab.report.markdown import RISK_COVERAGE_FILE, text
from tunelab.report.page import colours_of, page
from tunelab.report.recommendation import NO_LIMITS, Limits
from tunelab.report.report import Report, make_report
from tunelab.report.study import Method, read_study
from tunelab.report.table import comma_separated, make_row


def write_report(directory: Path, limits: Limits = NO_LIMITS) -> Report:
    """Read an output directory, and write its report in all forms beside its runs.

    Raises:
        UsageError: there are no runs.
        RecordError: the recipe is damaged; a damaged run is a row of the report.
    """
    study = read_study(directory)
    report = make_report(study, limits)
    write_atomically(directory / "table.md", text(report))
    every_row = [*report.rows, *map(make_row, study.precisions)]
    write_atomically(directory / "table.csv", comma_separated(every_row))
    if drawn := curves(study.methods):
        picture = risk_chart(drawn, colours_of(report), standalone=True)
        write_atomically(directory / RISK_COVERAGE_FILE, f"{picture}\n")
    document = json.dumps(report.document(), indent=2, ensure_ascii=False)
    write_atomically(directory / "comparisons.json", document + "\n")
    write_atomically(directory / "report.html", page(report))
    for run in (run for method in study.methods for run in method.finished):
        write_card(run.directory)
    return report


def write_answers(directory: Path) -> list[Path]:
    """Write answers.csv into every finished run of an output directory, or into one run."""
    runs = [run for run in find_runs(directory) if run.read_manifest().status == "ok"]
    for run in runs:
        write_atomically(run.answers, answers_csv(run.read_predictions()))
    return [run.answers for run in runs]


def compare_runs(directories: Sequence[Path], *, intersection: bool = False) -> list[Comparison]:
    """Compare finished runs, or the methods of output directories, that share their items.

    Args:
        directories: of runs or of studies.
        intersection: compare on the items that all of them share, and on no others.

    Raises:
        UsageError: one is not finished, or was scored on other items.
        RecordError: a file is damaged or of another version.
    """
    methods: list[Method] = []
    for directory in directories:
        methods += read_study(directory).methods
    names = [method.label for method in methods]
    if len(set(names)) < len(names):  # two runs of one label: told apart by their directories
        methods = [
            Method(f"{method.label} ({run.directory.path.name})", (run,), ())
            for method in methods
            for run in method.runs
        ]
    refuse_unfinished(methods)
    if intersection:
        methods = on_shared_items(methods)
    refuse_different_items(methods)
    return compare_all(methods)
