"""Runs the server until it is stopped, on a socket that is bound before anything is said of it."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from tunelab.answering import Answerer
from tunelab.errors import UsageError
from tunelab.serve.application import make_application

MOST_CONNECTIONS = 256
"""Further ones are answered 503 at once."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 lets the system choose.

    Raises:
        UsageError: the address is none, or is taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"Nothing can listen on {host}, port {port}: {error}.",
            hint="Choose another --port (0: any that is free), or leave --host out.",
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(answerer: Answerer, listening: socket.socket) -> None:
    """Answer until SIGINT or SIGTERM; replies under way are finished first, for a while."""
    try:
        serve_application(make_application(answerer), listening, lifespan="off")
    finally:
        answerer.close()


def serve_application(
    application: ASGIApp, listening: socket.socket, *, lifespan: Literal["on", "off"]
) -> None:
    """Run a web application until SIGINT or SIGTERM; requests under way have a while to finish.

    Args:
        application: what answers.
        listening: as `bind` made it.
        lifespan: whether it wants to know when it begins and ends.
    """
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan=lifespan,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
