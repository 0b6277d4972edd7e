"""One process at a time writes to an output directory; a second one learns who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tunelab.errors import UsageError
from tunelab.records.files import storage_errors


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold `directory` for as long as the context lasts.

    The lock belongs to the open file, so the system releases it however the process ends.

    Raises:
        UsageError: another process holds it.
    """
    path = directory / ".lock"
    with storage_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UsageError(
                f"{directory} is in use by another tunelab: {file.read().strip()}.",
                hint="Wait for it to end, stop it, or give another --out.",
            ) from error
        file.truncate(0)
        holder = {
            "process": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        file.write(json.dumps(holder))
        file.flush()
        yield
