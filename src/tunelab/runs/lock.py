"""One process at a time writes to a directory; a second one learns who holds it, or waits."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tunelab.errors import UsageError
from tunelab.records.files import make_directory, storage_errors

_SECONDS_BETWEEN_TRIES = 0.05


@contextmanager
def hold(directory: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Hold `directory` for as long as the context lasts.

    The lock belongs to the open file, so the system releases it however the process ends.

    Args:
        directory: made if it is missing.
        patience: seconds to wait for another process to let go.

    Raises:
        UsageError: another process holds it.
        StorageError: the directory cannot be written to.
    """
    path = directory / ".lock"
    with storage_errors(path):
        make_directory(directory)
        file = path.open("a+", encoding="utf-8")
    with file:
        _lock(file, directory, until=time.monotonic() + patience)
        with storage_errors(path):
            file.truncate(0)
            holder = {
                "process": os.getpid(),
                "host": platform.node(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            file.write(json.dumps(holder))
            file.flush()
        yield


def _lock(file: TextIO, directory: Path, *, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < until:
                time.sleep(_SECONDS_BETWEEN_TRIES)
                continue
            file.seek(0)
            raise UsageError(
                f"{directory} is in use by another tunelab: {file.read().strip()}.",
                hint="Wait for it to end, stop it, or give another --out.",
            ) from error
        return
