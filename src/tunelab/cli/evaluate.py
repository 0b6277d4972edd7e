"""`tunelab evaluate`: score a checkpoint or a finished run on a task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunelab.records import Score
    from tunelab.runs.evaluating import Evaluated


LM_EVAL = "lm-eval:"
"""What the names of lm-eval's tasks begin with here."""


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL|RUN", help="A run, a folder, a hub id or a bundled name."),
    ],
    task: Annotated[
        str, typer.Option("--task", help="Such as mmlu or pubmedqa; `tunelab tasks` lists them.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[key=value ...]", help="Settings of the task, such as shots=0 test_limit=200."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Official file or folder of the task; else the hub's."),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="Tokens that the model reads at most.")
    ] = None,
    include_path: Annotated[
        Path | None,
        typer.Option("--include-path", metavar="FOLDER", help="lm-eval: further task files."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE.jsonl", help="Write the predictions.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress display.")] = False,
) -> None:
    """Score MODEL, or the model of a finished RUN, on a task with given answers.

    The task lm-eval:NAME is one of lm-eval's; its settings are shots=N and limit=N.
    """
    if task.startswith(LM_EVAL):
        _refuse_unheeded({"--data": data, "--to": to, "--quiet": quiet}, task)
        _evaluate_lm_eval(
            model, task.removeprefix(LM_EVAL), settings or (), include_path, max_length, as_json
        )
        return
    _refuse_unheeded({"--include-path": include_path}, task)
    from tunelab.records import write_atomically
    from tunelab.runs.evaluating import evaluate_on, read_task

    asked = read_task(task, settings or (), data or ())
    found = evaluate_on(model, asked, max_length=max_length, quiet=quiet or as_json)
    if to is not None:
        rows = (row.model_dump_json() + "\n" for row in found.predictions)
        write_atomically(to, "".join(rows))
    if as_json:
        typer.echo(json.dumps(_document(found), indent=2, ensure_ascii=False))
    else:
        _show(found)


def _refuse_unheeded(options: Mapping[str, object], task: str) -> None:
    """Refuse options that a task has no use for, rather than pass over them."""
    from tunelab.errors import UsageError

    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(
            f"{given[0]} does nothing with --task {task}.",
            hint=f"Leave {' and '.join(given)} out.",
        )


def _evaluate_lm_eval(
    model: str,
    name: str,
    settings: Sequence[str],
    include_path: Path | None,
    max_length: int | None,
    as_json: bool,
) -> None:
    from tunelab.errors import UsageError
    from tunelab.lmeval.tasks import evaluate_tasks, require_lm_eval

    known: dict[str, int | None] = {"shots": None, "limit": None}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in known or not value.isdecimal():
            raise UsageError(
                f"'{setting}' is no setting of a task of lm-eval.",
                hint="Write shots=5 or limit=100.",
            )
        known[key] = int(value)
    require_lm_eval()
    from tunelab.lmeval.model import TunelabLM

    found = evaluate_tasks(
        TunelabLM(model, max_length=max_length),
        [name],
        include_path=include_path,
        shots=known["shots"],
        limit=known["limit"],
    )
    results = found["results"]
    if as_json:
        typer.echo(json.dumps({"model": model, "results": results}, indent=2, default=str))
        return
    for task, figures in results.items():
        for metric, value in figures.items():
            if isinstance(value, float):
                typer.echo(f"{task}  {metric}  {value:.4f}")


def _document(found: Evaluated) -> dict[str, object]:
    return {
        "model": found.model,
        "task": found.task,
        "scores": {name: score.model_dump() for name, score in found.scores.items()},
        "headline": list(found.headline),
        "items": len(found.predictions),
        "seconds": found.seconds,
        "notes": list(found.notes),
    }


def _show(found: Evaluated) -> None:
    from rich.console import Console
    from rich.table import Table

    first = found.scores[found.headline[0]]
    table = Table(title=f"{found.task}: {found.model}", title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", "questions"):
        table.add_column(heading, justify="right")
    for name in found.shown:
        score = found.scores[name]
        table.add_row(name, f"{score.value:.4f}", _interval(score), f"{score.count:,}")
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(table)
    console.print(f"{first.convention}.")
    for note in found.notes:
        console.print(f"- {note}")
    console.print(f"{len(found.predictions):,} questions in {found.seconds:.1f} s.")


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"{score.low:.4f} to {score.high:.4f}"
