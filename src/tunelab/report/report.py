"""Puts a study into words and figures: table.md, table.csv and comparisons.json.

Everything comes from the files of the run directories; nothing is trained, loaded or guessed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.evaluation.measure import Measured
from tunelab.records import find_runs, write_atomically
from tunelab.report.answers import answers_csv
from tunelab.report.beside import BESIDE_MEANING, beside_document, beside_markdown, curves
from tunelab.report.comparing import (
    Comparison,
    compare_all,
    not_compared,
    refuse_different_items,
)
from tunelab.report.drawing import draw_risk_coverage
from tunelab.report.study import Items, Method, Run, Study, read_study
from tunelab.report.table import Row, comma_separated, make_row, markdown, metrics_of

RISK_COVERAGE_FILE = "risk-coverage.svg"
FEW_METHODS = 4
"""Of so many, verdicts on two metrics can still be read."""
_COMMAND = "tunelab run recipe.yaml --out DIR"


@dataclass(frozen=True, slots=True)
class Report:
    """A study's table and verdicts."""

    study: Study
    rows: list[Row]
    comparisons: list[Comparison]

    @property
    def verdicts(self) -> list[str]:
        """The sentences on the primary metric and, for few methods, the others of the headline.

        All the others are in comparisons.json.
        """
        few = len(self.rows) <= FEW_METHODS
        told = [each for each in self.comparisons if each.primary or (few and each.headline)]
        return [each.sentence for each in told]

    @property
    def headline(self) -> list[str]:
        """The spoken names of the metrics that come first, in the order of the table."""
        found = [row.method.measured for row in self.rows if row.method.measured]
        wanted = {name for each in found for name in each.headline}
        return [spoken for name, spoken in metrics_of(self.rows).items() if name in wanted]

    @property
    def not_compared(self) -> list[str]:
        """Which pairs have no verdict, and why."""
        return not_compared(self.study.methods)

    @property
    def problems(self) -> list[str]:
        """What became of the runs that did not finish."""
        return [
            f"{run.directory.path.name}: {run.manifest.status}"
            + (f": {' '.join(run.manifest.message.split())}" if run.manifest.message else "")
            for row in self.rows
            for run in row.method.runs
            if run.manifest.status != "ok"
        ]

    def document(self) -> dict[str, Any]:
        """comparisons.json."""
        return {
            "schema_version": 1,
            "study": self.study.name,
            "comparisons": [comparison.document() for comparison in self.comparisons],
            "not_compared": self.not_compared,
            "beside": beside_document(self.study.methods),
        }


def write_report(directory: Path) -> Report:
    """Read an output directory, and write its table and comparisons beside its runs.

    Raises:
        UsageError: there are no runs.
        RecordError: a file is damaged or of another version.
    """
    study = read_study(directory)
    report = Report(
        study, [make_row(method) for method in study.methods], compare_all(study.methods)
    )
    write_atomically(directory / "table.md", text(report))
    write_atomically(directory / "table.csv", comma_separated(report.rows))
    if drawn := curves(study.methods):
        write_atomically(directory / RISK_COVERAGE_FILE, draw_risk_coverage(drawn))
    document = json.dumps(report.document(), indent=2, ensure_ascii=False)
    write_atomically(directory / "comparisons.json", document + "\n")
    return report


def write_answers(directory: Path) -> list[Path]:
    """Write answers.csv into every finished run of an output directory, or into one run."""
    runs = [run for run in find_runs(directory) if run.read_manifest().status == "ok"]
    for run in runs:
        write_atomically(run.answers, answers_csv(run.read_predictions()))
    return [run.answers for run in runs]


def compare_runs(directories: Sequence[Path]) -> list[Comparison]:
    """Compare finished runs, or the methods of output directories, that share their items.

    Raises:
        UsageError: one is not finished, or was scored on other items.
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
    refuse_different_items(methods)
    return compare_all(methods)


def text(report: Report) -> str:
    """table.md."""
    finished = [run for row in report.rows for run in row.method.finished]
    parts = [f"# {report.study.name}", markdown(report.rows)]
    if report.verdicts or report.not_compared:
        parts += ["## Verdicts", _bullets([*report.verdicts, *report.not_compared])]
    if any(run.curve for run in finished):
        parts += ["## Beside the official scores", *_beside(report)]
    if report.problems:
        parts += ["## Runs that did not finish", _bullets(report.problems)]
    if finished:
        parts += ["## What the figures mean", _bullets(_meaning(report, finished))]
        parts += ["## Proofs", _bullets(_proofs(report.rows))]
        parts += ["## Made with", _bullets(_circumstances(finished))]
        parts += ["Again, with the recipe.yaml beside this table:", f"    {_COMMAND}"]
    return "\n\n".join(parts) + "\n"


def _beside(report: Report) -> list[str]:
    return [
        beside_markdown(report.study.methods),
        _bullets(BESIDE_MEANING),
        f"![Risk against coverage]({RISK_COVERAGE_FILE})",
    ]


def _meaning(report: Report, finished: Sequence[Run]) -> list[str]:
    conventions = dict.fromkeys(
        _figures_are(run.measured, run.items)
        for run in finished
        if run.measured is not None and run.items is not None
    )
    units = next(run.measured.units for run in finished if run.measured is not None)
    lines = [
        *conventions,
        f"Intervals: 95 %, with the {units.group} as the unit and the seeds as a random effect; "
        "with one seed they are about that trained model alone.",
        "Verdicts: paired on the same items, corrected by Holm's method for all pairs of a "
        "metric."
        + (
            f" By {units.wider}: the same interval with whole {units.wider}s as the unit."
            if units.wider
            else ""
        ),
        "Times, sizes and losses: the median of the seeds, and their range. Loss, last: the mean "
        "of the last tenth of the steps. Peak memory on a CPU: growth above the idle process.",
        *_notes(finished),
    ]
    thresholds = {
        run.manifest.no_answer_threshold
        for run in finished
        if run.manifest.no_answer_threshold is not None
    }
    if thresholds:
        lines.append("No-answer thresholds were chosen on validation, per run.")
    if report.study.left_out:
        lines.append(
            f"{report.study.left_out} runs in the directory belong to another recipe and are left "
            "out."
        )
    return lines


def _figures_are(measured: Measured, items: Items) -> str:
    """What the headline's figures are and how many items they are about."""
    names = " and ".join(sorted(measured.metrics[name].spoken for name in measured.headline))
    units = measured.units
    sizes = f"{len(set(items.groups)):,} {units.group}s"
    if units.wider:
        sizes += f" in {len(set(items.articles)):,} {units.wider}s"
    return f"{names}: {measured.convention}, on {len(items.ids):,} items of {sizes}."


def _notes(runs: Sequence[Run]) -> list[str]:
    """Each note once, with the runs that it is about unless it is about all."""
    about: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for note in dict.fromkeys(run.manifest.notes):
            about[note].append(f"{run.manifest.label} seed {run.recipe.seed}")
    return [
        note if len(names) == len(runs) else f"{note} ({', '.join(names)})"
        for note, names in about.items()
    ]


def _proofs(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        proofs = [(run, proof) for run in row.method.runs for proof in run.manifest.proofs]
        if proofs:
            held = sum(proof.held for _, proof in proofs)
            names = "; ".join(dict.fromkeys(proof.name for _, proof in proofs))
            lines.append(f"{row.method.label}: {held} of {len(proofs)} held ({names}).")
            lines += [
                f"{run.directory.path.name}: '{proof.name}' does not hold: "
                + " ".join(f"{proof.found} {proof.remedy}".split())
                for run, proof in proofs
                if not proof.held
            ]
    return lines or ["Nothing was trained."]


def _circumstances(finished: Sequence[Run]) -> list[str]:
    hardware = dict.fromkeys(
        ", ".join(run.manifest.hardware.values()) + f", {run.manifest.threads} threads"
        for run in finished
    )
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in run.manifest.versions.items())
        for run in finished
    )
    return [*hardware, *versions]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
