"""`tunelab latency`: how fast models answer on this machine, by precision and batch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunelab.latency.case import Case, Load


def latency(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|MODEL ...]",
            help="Run directories, folders of adapters or checkpoints, bundled names, hub ids.",
        ),
    ] = None,
    shape: Annotated[
        str, typer.Option("--shape", help="Random weights: llama-160m, -1b, -3b, -8b; a list.")
    ] = "",
    precision: Annotated[
        str, typer.Option("--precision", help="f32, bf16, int8, nf4, gptq-int4, gptq-int8; a list.")
    ] = "f32",
    batch: Annotated[
        str, typer.Option("--batch", help="Questions on one paragraph answered together; a list.")
    ] = "1",
    merged: Annotated[
        bool, typer.Option("--merged", help="Adapters also merged into their base.")
    ] = False,
    paragraph: Annotated[
        int, typer.Option("--paragraph", min=1, help="Tokens that the questions share.")
    ] = 224,
    question: Annotated[
        int, typer.Option("--question", min=1, help="Tokens of each question alone.")
    ] = 32,
    answer: Annotated[
        int, typer.Option("--answer", min=2, help="Tokens of each answer; nothing ends it earlier.")
    ] = 32,
    warmup: Annotated[
        int, typer.Option("--warmup", min=0, help="Repetitions that are not counted.")
    ] = 1,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Repetitions.")] = 5,
    memory: Annotated[
        float | None,
        typer.Option(
            "--memory", min=0, help="GiB that random weights may take; else what is free."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the table, with the machine, here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
) -> None:
    """Measure the time to the first token, tokens per second and time per question."""
    from tunelab.errors import UsageError
    from tunelab.latency.case import Failed, Load
    from tunelab.latency.comparing import compare
    from tunelab.latency.table import document, markdown, rows
    from tunelab.records import write_atomically

    cases = _cases(models or [], _list(shape), _list(precision), merged=merged)
    if not cases:
        raise UsageError(
            "There is nothing to measure.",
            hint="Type for example: tunelab latency tiny, or tunelab latency --shape llama-1b",
        )
    load = Load(_batches(batch), paragraph, question, answer, warmup, repeats)
    found = compare(
        cases,
        load,
        memory_bytes=None if memory is None else round(memory * 2**30),
        told=lambda line: None if quiet else typer.echo(line, err=True),
    )
    table = markdown(list(rows(cases, found)))
    if out is not None:
        write_atomically(out, "\n".join([*_head(load), "", table, ""]))
    if as_json:
        typer.echo(json.dumps(document(cases, found), indent=2))
    else:
        typer.echo(table)
    if any(isinstance(result, Failed) for result in found):
        raise typer.Exit(1)


def _cases(
    models: Sequence[str], shapes: Sequence[str], precisions: Sequence[str], *, merged: bool
) -> list[Case]:
    from tunelab.latency.case import Case, Held, read_held
    from tunelab.latency.shapes import find_shape

    held: list[Held] = [read_held(name) for name in precisions]
    named = [(name.rstrip("/").rpartition("/")[2], name) for name in models]
    cases = [
        Case(name, source, each, merged=way)
        for name, source in named
        for each in held
        for way in ((False, True) if merged else (False,))
    ]
    return cases + [
        Case(name, find_shape(name), each, merged=False) for name in shapes for each in held
    ]


def _batches(text: str) -> tuple[int, ...]:
    from tunelab.errors import UsageError

    found = [int(part) if part.isdecimal() else 0 for part in _list(text)]
    if not found or min(found) < 1:
        raise UsageError(f"--batch is '{text}'.", hint="Write numbers from 1, such as --batch 1,8.")
    return tuple(found)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _head(load: Load) -> list[str]:
    """What the figures were made with."""
    import shlex

    import torch

    from tunelab.runs.environment import hardware, versions

    machine = ", ".join(f"{value}" for value in hardware().values())
    made = ", ".join(f"{name} {value}" for name, value in versions().items())
    return [
        "# Latency",
        "",
        f"Made by `tunelab {shlex.join(sys.argv[1:])}` on {machine}; {torch.get_num_threads()} "
        f"threads; {made}.",
        "",
        f"{load.paragraph_tokens} tokens that the questions of a batch share, "
        f"{load.question_tokens} more for each question, {load.answer_tokens} tokens of each "
        f"answer, greedily; the median of {load.repeats} repetitions with the lowest and highest, "
        f"behind {load.warmup} that are not counted. Weights of named shapes are random.",
    ]
