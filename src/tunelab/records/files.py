"""Files that survive a kill: a reader sees the old content or the new one, never a half.

Pattern: write a sibling temporary file, flush it to the disk, rename it over the target, flush the
directory. Lines are appended whole; a torn last line (the process was killed while writing) is
dropped by the reader, a torn line in the middle is an error.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tunelab.errors import RecordError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG}

RecordT = TypeVar("RecordT", bound=BaseModel)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Tell a full or unwritable disk as a `StorageError` that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageError(
            f"Could not write {path}: {error.strerror}.",
            hint="Free some space (or fix the permissions) and run the same command again: "
            "finished runs are kept and the interrupted one goes on from its last checkpoint.",
        ) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` with `content`, durably and in one step."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and new files in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, record: BaseModel) -> None:
    """Append one record as one line of JSON."""
    with storage_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(record.model_dump_json() + "\n")


def read_lines(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """Read a .jsonl file; a torn last line is left out.

    Raises:
        RecordError: a line other than a torn last one does not fit `kind`.
    """
    text = path.read_text(encoding="utf-8")
    whole, _, _torn = text.rpartition("\n")
    records: list[RecordT] = []
    for number, line in enumerate(whole.split("\n") if whole else [], start=1):
        try:
            records.append(kind.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            raise RecordError(
                f"{path}, line {number} is no valid {kind.__name__}: {first['msg']} "
                f"at {'.'.join(map(str, first['loc'])) or 'the line'}.",
                hint="The file was damaged or edited. Move the run directory away and run again.",
            ) from error
    return records


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
