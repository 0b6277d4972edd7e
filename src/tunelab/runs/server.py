"""What the fork server imports once, before any run is forked off it.

It also turns the server deaf to signals that are sent to the whole process group: they are meant
for the runs, and a run whose server is gone could no longer be waited for. The server ends by
itself when the process that started it does.
"""

from __future__ import annotations

import logging
import signal

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns when PEFT imports it

from tunelab.runs import execute  # noqa: E402

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)

__all__ = ["execute"]
