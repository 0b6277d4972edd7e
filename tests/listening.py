"""A web application on a real socket of this machine, from a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from tunelab.serve.running import bind


@contextmanager
def listening(application: ASGIApp, *, lifespan: Literal["on", "off"]) -> Iterator[str]:
    """Its address."""
    place = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        application, log_level="error", lifespan=lifespan, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)
