"""`tunelab lm-eval`: lm-eval's own command line, with the model class `tunelab`."""

from __future__ import annotations

import typer

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Everything behind `lm-eval` is lm-eval's, `--help` included."""


def lm_eval(context: typer.Context) -> None:
    """Hand ARGS to lm-eval's command line; there, `--model tunelab --model_args path=MODEL`."""
    from tunelab.lmeval.tasks import command_line

    command_line(context.args)
