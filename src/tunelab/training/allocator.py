"""The memory allocator of a run's process on a CPU.

torch asks for the same tensors pass after pass, each time a little larger or smaller, and between
them for the small parts of its graph. glibc's allocator keeps both in one heap; before 2.38 it also
takes no hole for an aligned block that fits it exactly. So its heap grows to a multiple of what is
alive: MiniLM with LoRA, 32 steps of varying lengths, 1.5 GiB where 0.6 are alive. tcmalloc keeps
small and large blocks apart and needs 0.6, in the same time. Where it is installed runs use it, as
torch's own launcher does (torch.backends.xeon.run_cpu); elsewhere glibc is told to keep what torch
frees, because fetching it anew from the system, page by page, costs about a tenth of a step.

A user's own LD_PRELOAD is left as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import cache
from pathlib import Path

_LIBRARIES = ("tcmalloc_minimal", "tcmalloc")
_PRELOAD = "LD_PRELOAD"
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_LARGEST_INT = 2**31 - 1


@cache
def tcmalloc() -> str | None:
    """The library's name as the loader knows it; None where it is not installed."""
    if sys.platform != "linux":
        return None
    return next(filter(None, map(find_library, _LIBRARIES)), None)


def runs_use_tcmalloc() -> bool:
    """Whether the processes of runs that this one starts will."""
    given = os.environ.get(_PRELOAD)
    return "tcmalloc" in given if given else tcmalloc() is not None


@contextmanager
def for_runs() -> Iterator[None]:
    """A Python process that is started meanwhile uses the allocator of runs."""
    library = tcmalloc()
    if library is None or os.environ.get(_PRELOAD):
        yield
        return
    os.environ[_PRELOAD] = library
    try:
        yield
    finally:
        del os.environ[_PRELOAD]


def in_use() -> str:
    """That of this process, for the records of a run."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        mapped = ""
    for name in ("tcmalloc", "jemalloc", "mimalloc"):
        if name in mapped:
            return name
    return " ".join(platform.libc_ver()).strip() or "the system's"


def keep_freed_memory() -> None:
    """Tell glibc to keep what torch frees; other allocators are not told anything by it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)
