"""`tunelab compare`: paired differences between any runs that were scored on the same items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN [...]", help="Run or output directories.")
    ],
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Only on the items that all of them share.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Compare runs pair by pair on every metric; a directory of several runs is several methods."""
    from tunelab.errors import UsageError
    from tunelab.report import compare_runs

    compared = compare_runs(runs, intersection=intersection)
    if not compared:
        raise UsageError(
            "There is one method only; a comparison needs two.", hint="Give two or more runs."
        )
    if as_json:
        typer.echo(
            json.dumps([found.document() for found in compared], ensure_ascii=False, indent=2)
        )
        return
    if intersection:
        items = compared[0].verdict.difference.items
        typer.echo(f"On the {items:,} items that all of them share:")
    for found in compared:
        typer.echo(f"- {found.sentence}")
