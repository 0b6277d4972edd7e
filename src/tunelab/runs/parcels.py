"""Run directories on their way between machines that share no disk: packed, and unpacked whole."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from tunelab.records.files import make_directory, sync_tree

_ARRIVING = ".arriving-"


def pack(directory: Path) -> bytes:
    """All files of a directory, checkpoints too, under its name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(directory, arcname=directory.name, filter=_without_locks)
    return buffer.getvalue()


def unpack(parcel: bytes, parent: Path) -> Path:
    """Put a packed directory into `parent`, in place of an older one.

    Returns:
        The directory.
    """
    make_directory(parent)
    with tarfile.open(fileobj=io.BytesIO(parcel)) as archive:
        name = archive.getnames()[0]
        arriving = parent / f"{_ARRIVING}{name}"
        shutil.rmtree(arriving, ignore_errors=True)
        archive.extractall(arriving, filter="data")
    sync_tree(arriving)
    place = parent / name
    shutil.rmtree(place, ignore_errors=True)
    (arriving / name).replace(place)
    arriving.rmdir()
    return place


def _without_locks(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(member.name).name == ".lock" else member
