"""What `tunelab report` and `tunelab compare` do: read directories, write reports beside them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tunelab.errors import RecordError
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
    """Write answers.csv into every finished run of an output directory, or into one run.

    A damaged one has none; that it is damaged, and why, is for the report to say.
    """
    written: list[Path] = []
    for run in find_runs(directory):
        with suppress(RecordError):
            if run.read_manifest().status == "ok":
                write_atomically(run.answers, answers_csv(run.read_predictions()))
                written.append(run.answers)
    return written


def compare_runs(directories: Sequence[Path], *, intersection: bool = False) -> list[Comparison]:
    """Compare finished runs, or the methods of output directories, that share their items.

    Args:
        directories: of runs or of studies.
        intersection: compare on the items that all of them share, and on no others.

    Raises:
        UsageError: one is not finished, or was scored on other items.
        RecordError: a file is damaged or of another version.
    """
    places = dict.fromkeys(directory.resolve() for directory in directories)
    methods = _told_apart({place: read_study(place).methods for place in places})
    refuse_unfinished(methods)
    if intersection:
        methods = on_shared_items(methods)
    refuse_different_items(methods)
    return compare_all(methods)


def _told_apart(found: Mapping[Path, Sequence[Method]]) -> list[Method]:
    """All methods; one whose label comes again has its directory behind it, as far as needed."""
    times = Counter(method.label for methods in found.values() for method in methods)
    common = os.path.commonpath([place.parent for place in found])
    return [
        replace(method, label=f"{method.label} ({place.relative_to(common)})")
        if times[method.label] > 1
        else method
        for place, methods in found.items()
        for method in methods
    ]
