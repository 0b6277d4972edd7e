"""Each run in a process of its own: memory is measured alone, and a run that the system kills
takes nothing else with it.

A fork server imports the heavy packages once; every run is forked off it in milliseconds, without
the threads and buffers that earlier runs left. A run whose parent is gone stops at once.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import FrameType

from tunelab.errors import Interrupted
from tunelab.recipe import Recipe
from tunelab.records import Manifest, RunDirectory

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_LARGEST_INT = 2**31 - 1
_PRELOADED = ["tunelab.runs.server"]


class Workers:
    """Starts runs, one at a time."""

    def __init__(self) -> None:
        # Threads that spin while they wait make a busy machine several times slower; it must be
        # said before the server loads torch.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)

    def run(self, recipe: Recipe, label: str, directory: RunDirectory, *, quiet: bool) -> Manifest:
        """Execute a run and return its manifest, however it ended.

        Raises:
            Interrupted: this process was asked to stop; the run has written a checkpoint.
        """
        process = self._context.Process(
            target=_child, args=(recipe, label, directory.path, quiet), name=directory.path.name
        )
        interrupted = _wait(process)
        manifest = _settle(directory, process.exitcode or 0, label)
        if interrupted or manifest.status == "interrupted":
            raise Interrupted(
                f"Stopped during {directory.path.name}.",
                hint="The same command goes on from there.",
            )
        return manifest


def _wait(process: ForkServerProcess) -> bool:
    """Start the process and wait for its end; hand signals on. True if one came."""
    received: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if process.pid is not None and len(received) <= 1:
            os.kill(process.pid, signal.SIGTERM)
        elif process.pid is not None:  # asked twice: do not wait for a checkpoint
            os.kill(process.pid, signal.SIGKILL)

    previous = {n: signal.signal(n, hand_on) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        process.start()
        process.join()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return bool(received)


def _child(recipe: Recipe, label: str, path: Path, quiet: bool) -> None:
    from tunelab.runs.execute import execute

    _keep_freed_memory()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hands it on as SIGTERM
    threading.Thread(target=_die_with_parent, daemon=True).start()
    execute(recipe, label, RunDirectory(path), quiet=quiet, stop=stop.is_set)


def _keep_freed_memory() -> None:
    """Tell glibc to keep what torch frees: every pass asks for the same large blocks again, and
    fetching them anew from the system, page by page, costs about a tenth of a step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _settle(directory: RunDirectory, exit_code: int, label: str) -> Manifest:
    """The manifest as the run left it; a run that died without a word gets its status here."""
    if not directory.manifest.exists():
        raise RuntimeError(f"{label}: the run's process ended ({exit_code}) before it began")
    manifest = directory.read_manifest()
    if manifest.status != "running":
        return manifest
    if exit_code == -signal.SIGKILL:
        message = (
            "The system killed the run (signal 9), most likely because memory ran out. Lower "
            "training.tokens_per_pass or model.max_length, or use a method that trains less."
        )
        manifest = manifest.model_copy(update={"status": "out_of_memory", "message": message})
    else:
        message = f"The run's process ended with exit code {exit_code}; see error.txt."
        manifest = manifest.model_copy(update={"status": "failed", "message": message})
    directory.write_manifest(manifest)
    return manifest
