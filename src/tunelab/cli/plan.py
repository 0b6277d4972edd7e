"""`tunelab plan`: what every run of a recipe will need, before anything is loaded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tunelab.plan.fitting import Remedy
    from tunelab.plan.sharding import Sharding
    from tunelab.records import Forecast

WILL_NOT_FIT = 3


def plan(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key.path=value ...]", help="Settings laid over the recipe."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="a100-80, rtx-4090, cpu, ...; not given: what is here."),
    ] = None,
    devices: Annotated[int, typer.Option("--devices", min=1, help="That share a run.")] = 1,
    sharding: Annotated[
        str, typer.Option("--sharding", help="How several devices share: ddp or fsdp.")
    ] = "ddp",
    memory: Annotated[
        float | None, typer.Option("--memory", help="GB of a device, instead of its own.")
    ] = None,
    flops: Annotated[
        float | None, typer.Option("--flops", help="Peak FLOP/s of a device, likewise.")
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", min=0, help="Of an hour of one device.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure a few steps here; much more exact.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
) -> None:
    """Predict peak memory, time, disk and price of every run of RECIPE; trains nothing.

    Exits with 3 if a run will not fit, and says what would make it fit.
    """
    from tunelab.plan.devices import find_device
    from tunelab.plan.estimate import Machine
    from tunelab.plan.fitting import remedies
    from tunelab.plan.planning import Planner
    from tunelab.recipe import expand, labels, read_recipe
    from tunelab.runs.progress import Display

    asked = read_recipe(recipe, overrides or ())
    every = [run for run in expand(asked) if run.model.endpoint is None]
    hourly = asked.price_per_hour if price is None else price
    found_device = find_device(device, memory_gb=memory, flops=flops)
    planner = Planner(Machine(found_device, devices, _sharding(devices, sharding), hourly))
    display = Display(asked.name, quiet=quiet or as_json)
    names = labels(every)
    found: dict[str, Forecast] = {}
    ways: dict[str, list[Remedy]] = {}
    with display.phase("planning", len(every)) as advance:
        for run, label in zip(every, names, strict=True):
            if label not in found:
                found[label] = planner.plan(run, label)
                if measure:
                    from tunelab.runs.measuring import measured

                    found[label] = measured(run, found[label])
                if not found[label].fits:
                    ways[label] = remedies(run, found[label], planner)
            advance(1, label)
    if as_json:
        typer.echo(json.dumps(_document(found, Counter(names), ways), indent=2))
    else:
        _show(found, Counter(names), ways)
    if not all(each.fits for each in found.values()):
        raise typer.Exit(WILL_NOT_FIT)


def _sharding(devices: int, name: str) -> Sharding:
    from tunelab.errors import UsageError, did_you_mean

    match name if devices > 1 else "none":
        case "none" | "ddp" | "fsdp" as known:
            return known
        case other:
            raise UsageError(
                f"There is no sharding '{other}'.", hint=did_you_mean(other, ("ddp", "fsdp"))
            )


def _show(found: dict[str, Forecast], seeds: Counter[str], ways: dict[str, list[Remedy]]) -> None:
    from tunelab.plan.table import remedy_lines, rows, totals
    from tunelab.report.table import ruled

    if not found:
        typer.echo("Every run asks a model behind an endpoint: nothing runs here.")
        return
    first = next(iter(found.values()))
    several = f", {first.devices} devices ({first.sharding})" if first.devices > 1 else ""
    typer.echo(f"Planned for {first.device}{several}.\n")
    typer.echo(ruled(rows(list(found.values()))))
    typer.echo("\n" + totals({label: (each, seeds[label]) for label, each in found.items()}))
    for note in dict.fromkeys(note for each in found.values() for note in each.notes):
        typer.echo(f"- {note}")
    for label, each in ways.items():
        typer.echo("\n" + "\n".join(remedy_lines(label, found[label], each)))


def _document(
    found: dict[str, Forecast], seeds: Counter[str], ways: dict[str, list[Remedy]]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema_version": 1,
        "fits": all(each.fits for each in found.values()),
        "runs": [
            {
                **each.model_dump(mode="json"),
                "seeds": seeds[label],
                "remedies": [asdict(way) for way in ways.get(label, [])],
            }
            for label, each in found.items()
        ],
    }
