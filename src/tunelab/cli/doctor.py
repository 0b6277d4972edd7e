"""`tunelab doctor`: what the model will see, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from tunelab.doctor.sights import Examination, Sight
    from tunelab.recipe import Recipe

_SIGNS = {"error": ("red", "ERROR"), "warning": ("yellow", "WARNING"), "fact": ("green", "ok")}


def doctor(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key.path=value ...]", help="Settings laid over the recipe."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check the data of RECIPE and show what the model sees, the target marked; trains nothing.

    Exits with 1 if anything would teach something wrong or spoil a score.
    """
    from tunelab.recipe import expand, read_recipe

    every = expand(read_recipe(recipe, overrides or ()))
    from tunelab.doctor.examination import examine, sight_key  # heavy: a wrong recipe needs none

    runs = [run for run in every if not run.evaluation.quantize]  # the others train nothing
    alike: dict[str, list[Recipe]] = {}  # variants of a grid that see the same
    for run in runs:
        alike.setdefault(sight_key(run), []).append(run)
    examinations = [examine(variants) for variants in alike.values()]
    if as_json:
        typer.echo(f"[{','.join(e.model_dump_json() for e in examinations)}]")
    else:
        for examination in examinations:
            _show(examination)
    if not all(examination.healthy for examination in examinations):
        raise typer.Exit(1)


def _show(examination: Examination) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for finding in examination.findings:
        colour, sign = _SIGNS[finding.severity]
        console.print(Text.assemble((f"{sign:8}", colour), f"{finding.name}: {finding.found}"))
        if finding.ids:
            console.print(Text(f"        {', '.join(finding.ids)}", style="dim"))
        if finding.remedy:
            console.print(Text(f"        {finding.remedy}"))
    for sight in examination.sights:
        console.print(Text(f"\nWhat the model sees of '{sight.id}'; [[target]]:", style="bold"))
        console.print(_coloured(sight))


def _coloured(sight: Sight) -> Text:
    """The tokens; the target stands in colour and in [[ ]]."""
    from rich.text import Text

    line = Text()
    inside = False
    for token in sight.tokens:
        if token.target and not inside:
            line.append("[[", style="bold green")
        if inside and not token.target:
            line = line[: len(line) - len(sight.separator)]
            line.append("]]" + sight.separator, style="bold green")
        inside = token.target
        line.append(token.text + sight.separator, style="bold green" if token.target else "")
    if inside:
        line.append("]]", style="bold green")
    return line
