"""`tunelab run`: do what is missing of a recipe's grid, then write its table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key.path=value ...]", help="Settings laid over the recipe."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Output directory; finished runs in it are kept.")
    ] = ...,  # pyright: ignore[reportArgumentType] - typer's sign for a required option
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
) -> None:
    """Train and score every variant of RECIPE; safe to interrupt and to repeat."""
    from tunelab.runs.stopping import interruptible

    with interruptible():
        from tunelab.cli.report import print_report
        from tunelab.recipe import read_recipe
        from tunelab.runs.experiment import run_experiment

        manifests = run_experiment(read_recipe(recipe, overrides or ()), out, quiet=quiet)
        print_report(out)
    if any(manifest.status != "ok" for manifest in manifests):
        raise typer.Exit(1)
