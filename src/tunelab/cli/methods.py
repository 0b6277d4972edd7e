"""`tunelab methods`: which tuning methods there are, and which truly work on a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunelab.tuning.matrix import Checked


def methods(
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="MODEL", help="Run every method on this checkpoint."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="METHOD", help="Check only this one.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE.md", help="Write the matrix as Markdown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """List the tuning methods; with --check, train, store, reload and merge with each."""
    from tunelab.errors import UsageError, did_you_mean
    from tunelab.tuning.matrix import summaries

    known = summaries()
    for name in only or ():
        if name not in known:
            raise UsageError(f"There is no method '{name}'.", hint=did_you_mean(name, known))
    if check is None:
        if only or to:
            raise UsageError(
                "--only and --to belong to --check.", hint="tunelab methods --check minilm"
            )
        _list(known, as_json=as_json)
        return
    rows = _check(check, only, quiet=quiet or as_json)
    if to is not None:
        from tunelab.records import write_atomically

        write_atomically(to, _markdown(check, rows))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        _show(rows)


def _check(model: str, only: list[str] | None, *, quiet: bool) -> list[Checked]:
    from tunelab.models.encoder import load_encoder
    from tunelab.recipe import Model
    from tunelab.runs.progress import Display
    from tunelab.tuning.matrix import LENGTH, all_tunings, check_methods

    base = load_encoder(Model(path=model, max_length=LENGTH, stride=0), seed=0).model
    tunings = [tuning for tuning in all_tunings() if not only or tuning.kind in only]
    with Display("methods", quiet=quiet).phase(f"on {model}", len(tunings)) as advance:
        return check_methods(base, tunings, advance=lambda name: advance(1, name))


def _list(known: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(known, indent=2))
        return
    width = max(map(len, known))
    for name, summary in known.items():
        typer.echo(f"{name:{width}}  {summary}")


def _show(rows: list[Checked]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("method", "works", "trained", "CPU s/step", "stored bytes", "merges", "reason")
    for row in rows:
        table.add_row(*_cells(row))
    Console().print(table)
    typer.echo(_total(rows))


def _markdown(model: str, rows: list[Checked]) -> str:
    import torch

    from tunelab.runs.environment import hardware, versions
    from tunelab.tuning.matrix import LEARNING_RATE, LENGTH, ROWS, STEPS

    packages = ", ".join(
        f"{name} {version}"
        for name, version in versions().items()
        if name in ("torch", "transformers", "peft")
    )
    machine = ", ".join(f"{name}: {value}" for name, value in hardware().items())
    table = [
        "| method | works | trained parameters | CPU s a step | stored bytes | merges | reason |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
        *(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |"
            for row in rows
        ),
    ]
    return "\n".join(
        [
            "# Which methods work on an encoder for question answering",
            "",
            f"Written by `tunelab methods --check {model} --to FILE.md`; do not edit.",
            "",
            f"Each method ran with its default options on `{model}`: {STEPS} steps of AdamW at a "
            f"rate of {LEARNING_RATE:g} on {ROWS} rows of {LENGTH} random tokens, in float32. It "
            "works if every tensor that should train got a gradient and moved, no other did, and "
            "the stored weights, loaded onto a fresh checkpoint, give the same logits (merged, "
            "too, where `merges` says yes). CPU seconds are those of all threads together, on this "
            "small batch: compare them with each other only.",
            "",
            f"{packages}. {machine}, threads: {torch.get_num_threads()}. {_total(rows)}",
            "",
            *table,
            "",
        ]
    )


def _cells(row: Checked) -> list[str]:
    merges = {True: "yes", False: "no", None: ""}[row.merges]
    return [
        row.method,
        "yes" if row.works else "no",
        "" if row.trained_parameters is None else f"{row.trained_parameters:,}",
        "" if row.cpu_seconds_per_step is None else f"{row.cpu_seconds_per_step:.3f}",
        "" if row.stored_bytes is None else f"{row.stored_bytes:,}",
        merges,
        row.reason,
    ]


def _total(rows: list[Checked]) -> str:
    return f"{sum(row.works for row in rows)} of {len(rows)} work."
