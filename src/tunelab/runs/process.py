"""Each run in a process of its own: memory is measured alone, and a run that the system kills
takes nothing else with it.

A fork server imports the heavy packages once; every run is forked off it in milliseconds, without
the threads and buffers that earlier runs left. A run whose parent is gone stops at once; until it
has, it holds its directory, and whoever comes next waits for it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Literal

from tunelab.errors import Interrupted, RecordError, StorageError
from tunelab.recipe import Recipe, digest, dump
from tunelab.records import Manifest, RunDirectory, write_atomically
from tunelab.runs.lock import hold
from tunelab.runs.sharing import NOTHING_SHARED, Shared
from tunelab.runs.stopping import SIGNALS

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_LARGEST_INT = 2**31 - 1
_PRELOADED = ["tunelab.runs.server"]
LESS_MEMORY = (
    "Lower training.tokens_per_pass or model.max_length, or use a method that trains less."
)
_SECONDS_BETWEEN_REMINDERS = 1.0
_SECONDS_FOR_A_PREDECESSOR = 600.0


class Workers:
    """Starts runs, one at a time.

    Args:
        start: how. `fork` is for a caller that has imported everything and started no threads.
    """

    def __init__(self, start: Literal["forkserver", "fork"] = "forkserver") -> None:
        # Threads that spin while they wait make a busy machine several times slower; it must be
        # said before the server loads torch.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        self._context = (
            multiprocessing.get_context("fork")
            if start == "fork"
            else multiprocessing.get_context("forkserver")
        )
        self._context.set_forkserver_preload(_PRELOADED)

    def run(
        self,
        recipe: Recipe,
        label: str,
        directory: RunDirectory,
        *,
        quiet: bool,
        shared: Shared = NOTHING_SHARED,
    ) -> Manifest:
        """Execute a run and return its manifest, however it ended.

        Raises:
            Interrupted: this process was asked to stop; the run has written a checkpoint.
        """
        process = self._context.Process(
            target=_child,
            args=(recipe, label, directory.path, quiet, shared),
            name=directory.path.name,
        )
        interrupted = _wait(process)
        manifest = _settle(
            recipe, label, directory, exit_code=process.exitcode or 0, interrupted=interrupted
        )
        if interrupted or manifest.status == "interrupted":
            raise Interrupted(
                f"Stopped during {directory.path.name}.",
                hint="The same command goes on from there.",
            )
        return manifest


def _wait(process: BaseProcess) -> bool:
    """Start the process and wait for its end; hand signals on. True if one came.

    A first signal asks the run to write a checkpoint and stop, and it is reminded, since it may
    not have listened yet; a second one ends it.
    """
    received: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        _tell(process, received)

    previous = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        process.start()
        while process.is_alive():
            _tell(process, received)
            process.join(_SECONDS_BETWEEN_REMINDERS)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return bool(received)


def _tell(process: BaseProcess, received: list[int]) -> None:
    if received and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM if len(received) == 1 else signal.SIGKILL)


def _child(recipe: Recipe, label: str, path: Path, quiet: bool, shared: Shared) -> None:
    from tunelab.runs.execute import execute

    _keep_freed_memory()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hands it on as SIGTERM
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(StorageError), hold(path, patience=_SECONDS_FOR_A_PREDECESSOR):
        execute(recipe, label, RunDirectory(path), quiet=quiet, stop=stop.is_set, shared=shared)


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


def _settle(
    recipe: Recipe, label: str, directory: RunDirectory, *, exit_code: int, interrupted: bool
) -> Manifest:
    """The manifest as the run left it; a run that died without a word gets its status here.

    Raises:
        StorageError: not even that can be written.
    """
    manifest = Manifest(label=label, digest=digest(recipe), status="running")
    with suppress(RecordError):  # the run ended before it wrote one
        manifest = directory.read_manifest()
    if manifest.status != "running":
        return manifest
    if interrupted:
        status, message = "interrupted", "Stopped before it could write a checkpoint."
    elif exit_code == -signal.SIGKILL:
        status = "out_of_memory"
        message = (
            "The system killed the run (signal 9), most likely because memory ran out. "
            + LESS_MEMORY
        )
    else:
        status, message = "failed", f"The run's process ended with exit code {exit_code}."
    if not directory.recipe.exists():
        write_atomically(directory.recipe, dump(recipe))
    manifest = manifest.model_copy(update={"status": status, "message": message})
    directory.write_manifest(manifest)
    return manifest
