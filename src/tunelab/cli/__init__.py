"""The command line: one file a command, and here what they have in common.

Commands import what they need when they run, so that `tunelab --help` starts at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import typer

from tunelab import __version__
from tunelab.cli import (
    app as app_command,
)
from tunelab.cli import (
    compare,
    demo,
    doctor,
    evaluate,
    export,
    latency,
    listing,
    lm_eval,
    methods,
    plan,
    reading,
    report,
    run,
    score,
    serve,
)
from tunelab.errors import TunelabError

app = typer.Typer(
    name="tunelab",
    help="Which way of fine-tuning should I use, what does it cost, and what does it break?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("doctor")(doctor.doctor)
app.command("plan")(plan.plan)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("app")(app_command.app)
app.command("serve")(serve.serve)
app.command("latency")(latency.latency)
app.command("reading")(reading.reading)
app.command("lm-eval", context_settings=lm_eval.SETTINGS)(lm_eval.lm_eval)
app.command("methods")(methods.methods)
app.command("tasks")(listing.tasks)
app.command("models")(listing.models)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunelab {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Which way of fine-tuning should I use, what does it cost, and what does it break?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `TunelabError` becomes a message and an exit code."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns when PEFT imports it
    try:
        app(args=arguments, prog_name="tunelab")
    except TunelabError as error:
        typer.secho(f"Error: {error.problem}", fg="red", err=True)
        if error.hint:
            typer.echo(error.hint, err=True)
        sys.exit(error.exit_code)
