"""A model served on a real socket of this machine, from a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.listening import listening

from tunelab.answering import load_answerer
from tunelab.serve.application import make_application


@contextmanager
def served(model: Path) -> Iterator[str]:
    """The address up to and with /v1."""
    answerer = load_answerer(str(model))
    try:
        with listening(make_application(answerer), lifespan="off") as address:
            yield f"{address}/v1"
    finally:
        answerer.close()
