"""`tunelab report`: the table and the verdicts of an output directory, from files alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunelab.report import CostName, Limits

NO_LIMITS: Limits = {}


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An output directory.")],
    answers: Annotated[
        bool,
        typer.Option("--answers", help="Also write answers.csv into every run: a line an item."),
    ] = False,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", help="Recommend under this peak, as in 2GB.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0, help="Under this training time.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", help="Under this saved size, as in 50MB.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Write report.html, table.md, table.csv and comparisons.json of DIR anew, and print them."""
    from tunelab.report import write_answers, write_report

    limits = _limits(max_memory=max_memory, max_seconds=max_seconds, max_size=max_size)
    written = write_answers(directory) if answers else []
    if as_json:
        made = write_report(directory, limits)
        typer.echo(json.dumps(made.document(), ensure_ascii=False, indent=2))
    else:
        print_report(directory, limits)
        for path in written:
            typer.echo(f"Answers: {path}")


NARROW = ("method", "runs", "trained parameters", "training time")
"""Columns on a terminal, and behind them the first metrics; table.md has them all."""

WIDE = ("HasAns F1", "NoAns EM", "peak memory", "learning rate")
"""More columns on a terminal of at least `WIDE_FROM` characters."""

WIDE_FROM = 140


def print_report(directory: Path, limits: Limits = NO_LIMITS) -> None:
    """Write the report of an output directory, and print what fits a terminal."""
    from rich.console import Console
    from rich.table import Table

    from tunelab.report import write_report
    from tunelab.report.precisions import precision_sentences
    from tunelab.report.table import cells, metrics_of

    made = write_report(directory, limits)
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
    for each in made.advice:
        console.print(f"{each.topic}: {each.sentence}")
    console.print(table)
    for sentence in [*made.verdicts, *made.not_compared]:
        console.print(f"- {sentence}")
    for sentence in precision_sentences(made.study):
        console.print(f"- {sentence}")
    for problem in made.problems:
        console.print(f"! {problem}", style="red")
    console.print(f"The whole answer: {directory / 'report.html'}")


def _limits(*, max_memory: str | None, max_seconds: float | None, max_size: str | None) -> Limits:
    from tunelab.report import Limit

    limits: dict[CostName, Limit] = {}
    if max_seconds is not None:
        limits["time"] = Limit(max_seconds, f"{max_seconds:g} s")
    if max_memory is not None:
        limits["memory"] = Limit(read_bytes(max_memory, "--max-memory"), max_memory)
    if max_size is not None:
        limits["size"] = Limit(read_bytes(max_size, "--max-size"), max_size)
    return limits


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def read_bytes(text: str, option: str) -> float:
    """50MB or 1.5 GiB in bytes."""
    from tunelab.errors import UsageError

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if found is None or found[2].upper() not in _UNITS:
        raise UsageError(
            f"{option} is '{text}'; it should be a number with its unit.",
            hint=f"Such as {option} 2GB. Units: B, KB, MB, GB, TB (powers of 1000), "
            "KiB, MiB, GiB, TiB (powers of 1024).",
        )
    return float(found[1]) * _UNITS[found[2].upper()]
