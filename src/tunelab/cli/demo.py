"""`tunelab demo`: the whole job on the embedded defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="Output directory.")] = Path("out/demo"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
) -> None:
    """Compare ways of tuning the bundled decoder on the generated set; CPU, no network."""
    from tunelab.cli.run import run

    run(Path(__file__).with_name("demo.yaml"), out=out, quiet=quiet)
