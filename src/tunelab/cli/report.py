"""`tunelab report`: the table and the verdicts of an output directory, from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An output directory.")],
    answers: Annotated[
        bool,
        typer.Option("--answers", help="Also write answers.csv into every run: a line an item."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Write table.md, table.csv and comparisons.json of DIR anew, and print them."""
    from tunelab.report import write_answers, write_report

    written = write_answers(directory) if answers else []
    if as_json:
        typer.echo(json.dumps(write_report(directory).document(), ensure_ascii=False, indent=2))
    else:
        print_report(directory)
        for path in written:
            typer.echo(f"Answers: {path}")


NARROW = ("method", "runs", "trained parameters", "training time")
"""Columns on a terminal, and behind them the first metrics; table.md has them all."""

WIDE = ("HasAns F1", "NoAns EM", "peak memory", "learning rate")
"""More columns on a terminal of at least `WIDE_FROM` characters."""

WIDE_FROM = 140


def print_report(directory: Path) -> None:
    """Write the report of an output directory, and print what fits a terminal."""
    from rich.console import Console
    from rich.table import Table

    from tunelab.report import write_report
    from tunelab.report.table import cells, metrics_of

    made = write_report(directory)
    metrics = metrics_of(made.rows)
    texts = [cells(row, metrics) for row in made.rows]
    console = Console(highlight=False, markup=False)
    wanted = (*NARROW, *made.headline, *(WIDE if console.width >= WIDE_FROM else ()))
    names = [name for name in wanted if name in texts[0]]
    table = Table(title=made.study.name, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold", justify="left" if name in NARROW[:2] else "right")
    for text in texts:
        table.add_row(*(text[name] for name in names))
    console.print(table)
    for sentence in [*made.verdicts, *made.not_compared]:
        console.print(f"- {sentence}")
    for problem in made.problems:
        console.print(f"! {problem}", style="red")
    console.print(f"The whole table: {directory / 'table.md'}")
