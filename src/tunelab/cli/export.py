"""`tunelab export`: a run's weights as other programs load them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Formats(StrEnum):
    """What can be made."""

    ADAPTER = "adapter"
    MERGED = "merged"
    SPACE = "space"


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run directory, or an output directory with one run.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="The new folder.", show_default=False)
    ],
    form: Annotated[
        Formats,
        typer.Option(
            "--format",
            help="adapter: as PEFT loads it. merged: one model, as transformers loads it. space: "
            "the web app of the run, for the Hugging Face hub.",
        ),
    ] = Formats.MERGED,
    onto_original: Annotated[
        bool,
        typer.Option(
            "--onto-original",
            help="Merge an adapter of a quantised base with the unquantised checkpoint.",
        ),
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            "--push", metavar="OWNER/NAME", help="Then upload it to the hub; needs HF_TOKEN."
        ),
    ] = None,
) -> None:
    """Write what RUN trained to DIR, with tokenizer and card, and prove that it says the same."""
    from tunelab.export.pushing import check_token
    from tunelab.export.pushing import push as upload

    if push is not None:
        check_token()
    from tunelab.export import export_run

    exported = export_run(run, form=form.value, to=to, onto_original=onto_original)
    for sentence in exported.told:
        typer.echo(sentence)
    typer.echo(f"Written to {exported.folder}")
    if push is not None:
        typer.echo(f"Pushed to {upload(exported.folder, push)}")
