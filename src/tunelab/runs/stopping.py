"""What SIGINT and SIGTERM mean outside a run: leave at once, with a message and exit code 130.

Everything on disk is written in one step, so there is nothing to tidy up. While a run goes on,
`process` has handlers of its own, which let it write a checkpoint first.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tunelab.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM raise `Interrupted`, wherever the process is."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted(
            "Stopped; what was finished is kept.", hint="The same command goes on from there."
        )

    previous = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
