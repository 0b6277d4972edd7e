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
    GGUF = "gguf"
    SPACE = "space"


class GgufTypes(StrEnum):
    """How a GGUF file holds its matrices."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"
    Q4_K_M = "q4_k_m"
    Q5_K_M = "q5_k_m"
    Q6_K = "q6_k"


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
            help="adapter: as PEFT loads it. merged: one model, as transformers loads it. "
            "gguf: one file, as llama.cpp runs it. space: the web app of the run, for the Hugging "
            "Face hub.",
        ),
    ] = Formats.MERGED,
    weights: Annotated[
        GgufTypes | None,
        typer.Option(
            "--gguf-type",
            help="How --format gguf holds matrices, f16 unless said; *_k* need llama.cpp's "
            "llama-quantize.",
            show_default=False,
        ),
    ] = None,
    onto_original: Annotated[
        bool,
        typer.Option(
            "--onto-original",
            help="Merge an adapter of a quantised base with the unquantised checkpoint.",
        ),
    ] = False,
    score_on: Annotated[
        int | None,
        typer.Option(
            "--score-on",
            metavar="N",
            min=0,
            help="Questions of the test set to score it on, before and after; default: 100 where "
            "the base or the file is quantised, else 0.",
            show_default=False,
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            "--push", metavar="OWNER/NAME", help="Then upload it to the hub; needs HF_TOKEN."
        ),
    ] = None,
) -> None:
    """Write what RUN trained to DIR, with tokenizer and card, and prove that it says the same."""
    from tunelab.export.pushing import check_push
    from tunelab.export.pushing import push as upload

    if push is not None:
        check_push(push)
    from tunelab.export import export_run

    exported = export_run(
        run,
        form=form.value,
        to=to,
        onto_original=onto_original,
        weights=weights.value if weights else None,
        score_on=score_on,
    )
    for sentence in exported.told:
        typer.echo(sentence)
    typer.echo(f"Written to {exported.folder}")
    if push is not None:
        typer.echo(f"Pushed to {upload(exported.folder, push, space=form is Formats.SPACE)}")
