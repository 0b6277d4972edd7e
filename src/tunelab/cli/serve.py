"""`tunelab serve`: a run or a checkpoint as an OpenAI-compatible server."""

from __future__ import annotations

from typing import Annotated

import typer


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
    from tunelab.errors import UsageError

    try:
        from tunelab.serve.running import bind, is_loopback
        from tunelab.serve.running import serve as serve_model
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`tunelab serve` needs {error.name}, which is not installed.",
            hint="Type: pip install 'tunelab[serve]'",
        ) from error
    from tunelab.answering import load_answerer

    if not is_loopback(host):
        typer.secho(
            f"Warning: on {host} everybody who can reach this machine can use the model; there "
            "is no password. Put a proxy with one in front.",
            fg="yellow",
            err=True,
        )
    listening = bind(host, port)
    answerer = load_answerer(model)
    address = f"[{host}]" if ":" in host else host
    typer.echo(f"{answerer.name}: http://{address}:{listening.getsockname()[1]}/v1")
    serve_model(answerer, listening)
