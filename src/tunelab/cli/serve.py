"""`tunelab serve`: a run or a checkpoint as an OpenAI-compatible server."""

from __future__ import annotations

from typing import Annotated

import typer

from tunelab.cli.listening import address, extra_missing, warn_of_visitors


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A run directory, an adapter's or a checkpoint's folder, a bundled name, a hub "
            "id.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback are open.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")
    ] = 8000,
) -> None:
    """Offer RUN or MODEL to other programs: chat/completions and completions, with streaming."""
    try:
        from tunelab.serve.running import bind, is_loopback
        from tunelab.serve.running import serve as serve_model
    except ModuleNotFoundError as error:
        raise extra_missing("serve", error) from error
    from tunelab.answering import load_answerer

    if not is_loopback(host):
        warn_of_visitors(host, "use the model")
    listening = bind(host, port)
    answerer = load_answerer(model)
    typer.echo(f"{answerer.name}: {address(host, listening)}/v1")
    serve_model(answerer, listening)
