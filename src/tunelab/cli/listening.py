"""What commands that listen on a socket have in common: an extra, a warning, an address."""

from __future__ import annotations

import socket

import typer

from tunelab.errors import UsageError


def extra_missing(extra: str, error: ModuleNotFoundError) -> UsageError:
    """What to say where the extra of a command is not installed; it has the command's name."""
    return UsageError(
        f"`tunelab {extra}` needs {error.name}, which is not installed.",
        hint=f"Type: pip install 'tunelab[{extra}]'",
    )


def warn_of_visitors(host: str, can: str) -> None:
    """Say on standard error what everybody can do who reaches an address other than loopback."""
    typer.secho(
        f"Warning: on {host} everybody who can reach this machine can {can}; there is no "
        "password. Put a proxy with one in front.",
        fg="yellow",
        err=True,
    )


def address(host: str, listening: socket.socket) -> str:
    """The address that a socket answers on, for a browser."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"
