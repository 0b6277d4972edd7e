"""table.md: the recommendation, the table, the verdicts, and what a reader must know."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.report.beside import BESIDE_MEANING, beside_markdown
from tunelab.report.ledger import ledger_markdown, ledger_sentences
from tunelab.report.precisions import (
    PRECISIONS_MEANING,
    precision_cells,
    precision_sentences,
)
from tunelab.report.reasons import reason_lines, reasons_meaning
from tunelab.report.report import Report
from tunelab.report.table import markdown, ruled
from tunelab.report.telling import COMMAND, circumstances, meaning, proofs

RISK_COVERAGE_FILE = "risk-coverage.svg"


def text(report: Report) -> str:
    """table.md."""
    finished = [run for row in report.rows for run in row.method.finished]
    answer = [f"**{each.topic}.** {each.sentence}" for each in report.advice]
    parts = [f"# {report.study.name}", _bullets(answer), markdown(report.rows)]
    if report.verdicts or report.not_compared:
        parts += ["## Verdicts", _bullets([*report.verdicts, *report.not_compared])]
    if report.ledger:
        parts += ["## Forgetting", ledger_markdown(report.ledger)]
        parts += [_bullets(ledger_sentences(report.ledger))]
    if report.study.precisions:
        told = _bullets([*precision_sentences(report.study), *PRECISIONS_MEANING])
        parts += ["## In other precisions", ruled(precision_cells(report.study)), told]
    if any(run.curve for run in finished):
        parts += ["## Beside the official scores", *_beside(report)]
    if reasons := [*reason_lines(report.study.methods), *reasons_meaning(report.study.methods)]:
        parts += ["## Why it scores", _bullets(reasons)]
    if report.problems:
        parts += ["## Runs that did not finish", _bullets(report.problems)]
    if finished:
        parts += ["## What the figures mean", _bullets(meaning(report.study, finished))]
        parts += ["## Proofs", _bullets(proofs(report.study.methods))]
        parts += ["## Made with", _bullets(circumstances(finished))]
        parts += ["Again, with the recipe.yaml beside this table:", f"    {COMMAND}"]
    return "\n\n".join(parts) + "\n"


def _beside(report: Report) -> list[str]:
    return [
        beside_markdown(report.study.methods),
        _bullets(BESIDE_MEANING),
        f"![Risk against coverage]({RISK_COVERAGE_FILE})",
    ]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
