"""The second table: literal match, and how well confidence ranks the answers. Never a verdict.

The official scores stand in the first table; these stand apart because their conventions differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tunelab.evaluation.beside import LITERAL, RISK_COVERAGE
from tunelab.metrics import RiskCoverage
from tunelab.report.figures import spread
from tunelab.report.study import Method, Run

COLUMNS = {
    "literal_valid": "valid",
    "literal_exact": "literal EM",
    "literal_exact_of_valid": "literal EM of valid",
    "literal_no_answer": "no answer, correct",
    "literal_has_answer": "has answer, correct",
    "risk_coverage_area": "risk-coverage area",
    "risk_coverage_lowest_area": "lowest possible area",
}
"""Name in JSON -> heading."""

BESIDE_MEANING = (
    f"Literal: {LITERAL.removesuffix('; fraction')}; percent, median and range of the seeds.",
    f"Risk-coverage area: {RISK_COVERAGE}.",
)
"""What the columns mean."""


def beside(run: Run) -> dict[str, float]:
    """What one run has of these figures, as fractions."""
    figures = run.literal.figures() if run.literal else {}
    if run.curve:
        figures |= {
            "risk_coverage_area": run.curve.area,
            "risk_coverage_lowest_area": run.curve.lowest_area,
        }
    return figures


def beside_table(methods: Sequence[Method]) -> list[list[str]]:
    """Headings, and a row a method with a finished run: the median of the seeds, their range."""
    rows = [
        (method.label, [beside(run) for run in method.finished])
        for method in methods
        if method.finished
    ]
    names = [name for name in COLUMNS if any(name in run for _, runs in rows for run in runs)]
    headings = ["method", *(COLUMNS[name] for name in names)]
    return [headings] + [
        [label, *(spread([run.get(name) for run in runs], _shower(name)) for name in names)]
        for label, runs in rows
    ]


def beside_markdown(methods: Sequence[Method]) -> str:
    """The same in markdown."""
    headings, *rows = beside_table(methods)
    lines = [f"| {' | '.join(headings)} |", "| --- |" + " ---: |" * (len(headings) - 1)]
    for row in rows:
        cells = " | ".join(cell.replace("|", "\\|") for cell in row)
        lines.append(f"| {cells} |")
    return "\n".join(lines)


def beside_document(methods: Sequence[Method]) -> list[dict[str, Any]]:
    """One object a finished run, for comparisons.json."""
    return [
        {"method": method.label, "seed": run.recipe.seed, "run": run.directory.path.name}
        | beside(run)
        for method in methods
        for run in method.finished
    ]


def curves(methods: Sequence[Method]) -> dict[str, list[RiskCoverage]]:
    """Label -> the curves of its finished runs; without methods that have none."""
    found = {
        method.label: [run.curve for run in method.finished if run.curve] for method in methods
    }
    return {label: lines for label, lines in found.items() if lines}


def _shower(name: str) -> Callable[[float], str]:
    if name.endswith("area"):
        return "{:.3f}".format
    return lambda fraction: f"{100 * fraction:.2f} %"
