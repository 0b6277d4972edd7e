"""`tunelab tasks` and `tunelab models`: what is there, one line each."""

from __future__ import annotations

import json
from typing import Annotated

import typer

TASKS = {
    "squad": "extractive question answering in the official SQuAD format, version 1.1 or 2.0",
}

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def tasks(as_json: JsonOption = False) -> None:
    """List the kinds of task, and the data set that tunelab generates."""
    from tunelab.data.reading import SPLITS

    _print(
        TASKS | {f"reading/{split}": "generated, in SQuAD 2.0 form" for split in SPLITS}, as_json
    )


def models(as_json: JsonOption = False) -> None:
    """List the bundled models; any folder or hub id of an encoder works too."""
    from tunelab.models.checkpoint import BUNDLED

    _print({name: model.summary for name, model in BUNDLED.items()}, as_json)


def _print(rows: dict[str, str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows))
        return
    width = max(map(len, rows))
    for name, summary in rows.items():
        typer.echo(f"{name:{width}}  {summary}")
