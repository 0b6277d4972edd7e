"""`tunelab app`: ask runs, teach them, compare them and look at their data, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunelab.cli.listening import address, extra_missing, warn_of_visitors


def app(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN ...]",
            help="Run and output directories, adapters, checkpoints. Not given: the output "
            "directories in this one.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback are open.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")
    ] = 7860,
    taught: Annotated[
        Path, typer.Option("--taught", metavar="FILE", help="Where taught answers are saved.")
    ] = Path("taught.json"),
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            help="Unlabelled questions to teach, in SQuAD's form; answers are not looked at.",
        ),
    ] = None,
    no_teaching: Annotated[
        bool, typer.Option("--no-teaching", help="Leave the tab Teach out; nothing is written.")
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            help="What loaded models may take together, as in 8GB. Not given: what is free.",
        ),
    ] = None,
) -> None:
    """Open the web app on RUNs: Ask, Teach, Compare, Data. Loads a model when it is first asked."""
    try:
        from tunelab.app.serving import LOOPBACK, serve_page
        from tunelab.serve.running import bind, is_loopback
    except ModuleNotFoundError as error:
        raise extra_missing("app", error) from error
    from tunelab.app.catalogue import found_here
    from tunelab.app.lab import Lab
    from tunelab.app.shelf import fixed_room, measured_room
    from tunelab.cli.report import read_bytes

    if not is_loopback(host):
        warn_of_visitors(
            host, "ask these models, read the questions that they were tested on, and teach"
        )
    room = measured_room if memory is None else fixed_room(int(read_bytes(memory, "--memory")))
    lab = Lab.of(
        runs or found_here(Path()),
        taught=None if no_teaching else taught,
        questions=questions,
        room=room,
    )
    listening = bind(host, port)
    typer.echo(address(host, listening))
    serve_page(lab, listening, hosts=LOOPBACK if is_loopback(host) else ["*"])
