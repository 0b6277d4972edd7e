"""A model served on a real socket of this machine, from a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tunelab.answering import load_answerer
from tunelab.serve.application import make_application
from tunelab.serve.running import bind


@contextmanager
def served(model: Path) -> Iterator[str]:
    """The address up to and with /v1."""
    answerer = load_answerer(str(model))
    listening = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        make_application(answerer), log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        answerer.close()
