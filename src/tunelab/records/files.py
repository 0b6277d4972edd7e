"""Files that survive a kill: a reader sees the old content or the new one, never a half.

Pattern: write a sibling temporary file, flush it to the disk, rename it over the target, flush the
directory. Lines are appended whole; a reader may drop a torn last line (the process was killed
while writing), a torn line in the middle is an error.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from tunelab.errors import RecordError, StorageError, UsageError

_TEMPORARY = ".tmp"
_DAMAGED = "The file was damaged or edited. `tunelab run` with the same recipe makes it anew."
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG}

RecordT = TypeVar("RecordT", bound=BaseModel)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Tell a full or unwritable disk as a `StorageError` that names the file."""
    try:
        yield
    except Exception as error:
        number = _system_error(error)
        if number not in _FULL:
            raise
        raise StorageError(
            f"Could not write {path}: {os.strerror(number)}.",
            hint="Free some space (or fix the permissions) and run the same command again: "
            "finished runs are kept and the interrupted one goes on from its last checkpoint.",
        ) from error


def _system_error(error: BaseException) -> int | None:
    """The number of a system's error.

    Libraries in Rust have it in their text alone; torch, which writes through C++, raises an error
    of its own while it handles the system's.
    """
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found:
        return int(found.group(1))
    handled = None if error.__suppress_context__ else error.__context__
    return _system_error(handled) if handled else None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` with `content`, durably and in one step."""
    with writing_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces `path`, durably and in one step, when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    with storage_errors(path):
        make_directory(path.parent)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)


def make_directory(directory: Path) -> None:
    """Make a directory and those above it; they outlast a loss of power.

    Raises:
        UsageError: a file has its name, or that of one above it.
    """
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"{directory} cannot be a directory: a file is in its place.",
            hint="Name another directory, or move the file away.",
        ) from error
    for made in missing:
        sync_directory(made.parent)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote.

    For whoever holds the directory alone.
    """
    for path in directory.rglob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """Make files that a library wrote into `folder` durable."""
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            sync_directory(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_directory(folder.parent)


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


def read_lines(path: Path, kind: type[RecordT], *, appended: bool) -> list[RecordT]:
    """Read a .jsonl file.

    Args:
        appended: the file grows line by line, so that a torn last line is no damage and is left
            out; of a file that was written in one step it is one.

    Raises:
        RecordError: the file cannot be read, or a line does not fit `kind`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}.", hint=_DAMAGED) from error
    whole, _, torn = text.rpartition("\n")
    if torn and not appended:
        raise RecordError(
            f"{path} is cut off: it ends in the middle of line {whole.count(chr(10)) + 2}.",
            hint=_DAMAGED,
        )
    records: list[RecordT] = []
    for number, line in enumerate(whole.split("\n") if whole else [], start=1):
        try:
            records.append(kind.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            raise RecordError(
                f"{path}, line {number} is no valid {kind.__name__}: {first['msg']} "
                f"at {'.'.join(map(str, first['loc'])) or 'the line'}.",
                hint=_DAMAGED,
            ) from error
    return records


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
