"""`tunelab methods`: which tuning methods there are, and which truly work on a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunelab.recipe import Precision
    from tunelab.tuning.matrix import Checked


def methods(
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="MODEL", help="Run every method on this checkpoint."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="METHOD", help="Check only this one.")
    ] = None,
    quantize: Annotated[
        list[str] | None,
        typer.Option("--quantize", metavar="PRECISION", help="Check on this precision of it, too."),
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
        if only or to or quantize:
            raise UsageError(
                "--only, --quantize and --to belong to --check.",
                hint="tunelab methods --check minilm",
            )
        _list(known, as_json=as_json)
        return
    if quantize:
        tables: dict[Precision, list[Checked]] = {
            precision: _check(check, only, quiet=quiet or as_json, held=precision)
            for precision in map(_precision, quantize)
        }
        _tell_tables(check, tables, to, as_json=as_json)
        return
    rows = _check(check, only, quiet=quiet or as_json)
    if to is not None:
        from tunelab.records import write_atomically

        write_atomically(to, _markdown(check, rows))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        _show(rows)


def _precision(name: str) -> Precision:
    from typing import get_args

    from tunelab.errors import UsageError, did_you_mean
    from tunelab.recipe import Precision

    for known in get_args(Precision):
        if known == name:
            return known
    raise UsageError(f"There is no '{name}'.", hint=did_you_mean(name, get_args(Precision)))


def _check(
    model: str, only: list[str] | None, *, quiet: bool, held: Precision = "none"
) -> list[Checked]:
    from tunelab.models.decoder import load_decoder
    from tunelab.models.encoder import load_encoder
    from tunelab.models.loading import reading_direction
    from tunelab.recipe import Model
    from tunelab.runs.progress import Display
    from tunelab.tuning.calibration import random_calibration
    from tunelab.tuning.matrix import LENGTH, all_tunings, check_methods

    settings = Model(path=model, max_length=LENGTH, stride=0, quantize=held)
    if reading_direction(settings) == "both ways":
        base = load_encoder(settings, seed=0).model
    else:
        base = load_decoder(settings, seed=0, calibrating=random_calibration).model
    tunings = [tuning for tuning in all_tunings(held) if not only or tuning.kind in only]
    with Display("methods", quiet=quiet).phase(f"on {model}, {held}", len(tunings)) as advance:
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
    from tunelab.tuning.matrix import LEARNING_RATE, LENGTH, ROWS, STEPS

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
            f"{_made_with()} {_total(rows)}",
            "",
            *table,
            "",
        ]
    )


def _tell_tables(
    model: str, tables: dict[Precision, list[Checked]], to: Path | None, *, as_json: bool
) -> None:
    """Methods x precisions: on the terminal, as a page, or as one JSON document."""
    if to is not None:
        from tunelab.records import write_atomically

        write_atomically(to, _precisions_markdown(model, tables))
    if as_json:
        document = {
            name: [dataclasses.asdict(row) for row in rows] for name, rows in tables.items()
        }
        typer.echo(json.dumps(document, indent=2))
        return
    for name, rows in tables.items():
        typer.echo(f"{name}:")
        _show(rows)


def _precisions_markdown(model: str, tables: dict[Precision, list[Checked]]) -> str:
    from tunelab.tuning.matrix import LEARNING_RATE, LENGTH, ROWS, STEPS

    methods = list(dict.fromkeys(row.method for rows in tables.values() for row in rows))
    found = {(name, row.method): row for name, rows in tables.items() for row in rows}
    asked = "".join(f" --quantize {name}" for name in tables)
    failed = [
        f"- {row.method} on {name}: {row.reason}"
        for (name, _), row in found.items()
        if not row.works
    ]
    return "\n".join(
        [
            "# Which methods work on which quantised base",
            "",
            f"Written by `tunelab methods --check {model}{asked} --to FILE.md`; do not edit.",
            "",
            f"Each method ran with its default options on `{model}` in each precision: {STEPS} "
            f"steps of AdamW at a rate of {LEARNING_RATE:g} on {ROWS} rows of {LENGTH} random "
            "tokens. It works if every tensor that should train got a gradient and moved, no other "
            "did, and the stored weights, loaded onto a freshly quantised checkpoint, give the "
            "same scores; merged too (merging is onto the values that the base stands for). The "
            "bits are measured in the middle of a step: what the base's linear layers hold for "
            "each weight, scales and constants included, and what of it is kept unpacked for the "
            "backward pass. Seconds are processor time of the fastest step, all threads together, "
            "on this small batch.",
            "",
            f"{_made_with()}",
            "",
            "| method | " + " | ".join(tables) + " |",
            "| --- |" + " --- |" * len(tables),
            *(
                f"| {method} | "
                + " | ".join(_short(found.get((name, method))) for name in tables)
                + " |"
                for method in methods
            ),
            "",
            *(["## Why not", "", *failed, ""] if failed else []),
        ]
    )


def _short(row: Checked | None) -> str:
    """A cell of the matrix of precisions."""
    if row is None:
        return "refused"
    if not row.works:
        return "no"
    bits = "" if row.held_bits is None else f", {row.held_bits:.2f} bits"
    return f"yes{bits}, {row.cpu_seconds_per_step:.3f} s"


def _made_with() -> str:
    import torch

    from tunelab.runs.environment import hardware, versions

    packages = ", ".join(
        f"{name} {version}"
        for name, version in versions().items()
        if name in ("torch", "transformers", "peft", "bitsandbytes", "llmcompressor")
    )
    machine = ", ".join(f"{name}: {value}" for name, value in hardware().items())
    return f"{packages}. {machine}, threads: {torch.get_num_threads()}."


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
