"""The page on a real socket of this machine, from a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tunelab.app.lab import Lab
from tunelab.app.serving import LOOPBACK, make_web_application
from tunelab.serve.running import bind


@contextmanager
def served(lab: Lab) -> Iterator[str]:
    """The address of the page."""
    listening = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        make_web_application(lab, hosts=LOOPBACK), log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)
