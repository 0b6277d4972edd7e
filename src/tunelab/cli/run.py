"""`tunelab run`: do what is missing of a recipe's grid, then write its table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Executor(StrEnum):
    """What does the runs."""

    local = "local"
    ray = "ray"


class Sharding(StrEnum):
    """How several processes hold a model."""

    ddp = "ddp"
    fsdp = "fsdp"


def run(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key.path=value ...]", help="Settings laid over the recipe."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Output directory; finished runs in it are kept.")
    ] = ...,  # pyright: ignore[reportArgumentType] - typer's sign for a required option
    until_separable: Annotated[
        bool,
        typer.Option(
            "--until-separable", help="Add seeds where a verdict is open; needs --budget."
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="TIME", help="For all runs, those done before too: 2h, 1h30m, 45s."
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="So many train a run together, a device each.")
    ] = 1,
    sharding: Annotated[
        Sharding,
        typer.Option(
            "--sharding", help="ddp: each holds the model; fsdp: each holds a share of it."
        ),
    ] = Sharding.ddp,
    executor: Annotated[
        Executor, typer.Option("--executor", help="local: here. ray: on the nodes of a cluster.")
    ] = Executor.local,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="Of the Ray cluster, as auto or HOST:6379; else one is started here."
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also start runs that will not fit (exit code 3).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
) -> None:
    """Train and score every variant of RECIPE; safe to interrupt and to repeat."""
    from tunelab.runs.stopping import interruptible

    with interruptible():
        from tunelab.cli.report import print_report
        from tunelab.recipe import read_recipe
        from tunelab.runs.until import UntilSeparable, read_budget

        asked = read_recipe(recipe, overrides or ())
        seconds = read_budget(until_separable, budget)
        until = None if seconds is None else UntilSeparable(asked, out, budget=seconds)
        from tunelab.runs.experiment import run_experiment  # heavy: after what is quickly refused
        from tunelab.runs.together import Asked, executor_of

        wanted = Asked(processes, sharding.value, executor.value, address)
        with executor_of(asked, out, wanted, quiet=quiet) as workers:
            if workers is None:  # the first of the launcher's processes does the rest
                return
            alone = processes == 1  # several share what one of them was planned to hold
            manifests = run_experiment(
                asked, out, quiet=quiet, until=until, workers=workers, anyway=anyway or not alone
            )
        print_report(out)
    if any(manifest.status != "ok" for manifest in manifests):
        raise typer.Exit(1)
