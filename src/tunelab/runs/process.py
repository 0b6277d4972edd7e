"""Each run in a process of its own, or in several that train together: memory is measured alone,
and a run that the system kills takes nothing else with it.

A fork server imports the heavy packages once; every run is forked off it in milliseconds, without
the threads and buffers that earlier runs left. A run whose parent is gone stops at once; until it
has, it holds its directory, and whoever comes next waits for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Literal

from tunelab.errors import Interrupted, RecordError, StorageError
from tunelab.recipe import Recipe
from tunelab.records import Manifest, RunDirectory, Status
from tunelab.runs.crew import LESS_MEMORY, Attended, Member, attend
from tunelab.runs.ending import write_ending
from tunelab.runs.lock import hold
from tunelab.runs.planned import Planned
from tunelab.runs.sharing import NOTHING_SHARED, Share, Shared
from tunelab.runs.team import Follower, Job, Loss, Team, is_shared_work
from tunelab.training.allocator import for_runs, keep_freed_memory
from tunelab.training.devices import LOST, Seat

_SPINS = "20000"
"""Of libgomp, whose own default is 300,000; a step of `tiny` takes 220 ms with 0, 137 with this."""
_PRELOADED = ["tunelab.runs.server"]
_SECONDS_FOR_A_PREDECESSOR = 600.0


class Workers:
    """Starts runs, one at a time.

    Args:
        start: how. `fork` is for a caller that has imported everything and started no threads.
        team: who trains together; without one every run is one process.
    """

    def __init__(
        self, start: Literal["forkserver", "fork"] = "forkserver", *, team: Team | None = None
    ) -> None:
        # Threads that spin while they wait make a busy machine several times slower, and threads
        # that sleep at once make the many small steps of a small model take 1.6 times as long: so
        # they spin for some microseconds. It must be said before the server loads torch.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
        self._forks_itself = start == "fork"
        self._context = (
            multiprocessing.get_context("fork")
            if self._forks_itself
            else multiprocessing.get_context("forkserver")
        )
        self._context.set_forkserver_preload(_PRELOADED)
        self._team = team

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
        team = self._team if is_shared_work(recipe) else None
        seats = team.seats(recipe, label) if team else []
        with tempfile.TemporaryDirectory(prefix="tunelab-") as scratch:
            first = seats[0] if seats else None
            members = [
                self._member(recipe, label, directory, seat=first, quiet=quiet, shared=shared)
            ]
            members += [
                self._helper(recipe, label, seat, Path(scratch), shared) for seat in seats[1:]
            ]
            attended = attend(members, elsewhere=team.loss if team else lambda: None)
        if team:
            team.over()
        code = members[0].process.exitcode or 0
        manifest = _settle(recipe, label, directory, exit_code=code, attended=attended)
        if attended.interrupted or manifest.status == "interrupted":
            raise Interrupted(
                f"Stopped during {directory.path.name}.",
                hint="The same command goes on from there.",
            )
        return manifest

    def run_all(self, items: Sequence[Planned], *, share: Share, quiet: bool) -> Iterator[Manifest]:
        """Execute one run after the other, each when its manifest is asked for."""
        for item in items:
            shared = share(item.recipe)
            yield self.run(item.recipe, item.label, item.directory, quiet=quiet, shared=shared)

    def follow(self, follower: Follower) -> None:
        """Take part in the runs that the first process of a launcher names, as long as it does.

        Raises:
            Interrupted: this process was asked to stop.
        """
        for job in follower.jobs():
            if self._help(follower, job).interrupted:
                raise Interrupted("Stopped.", hint="The same command goes on from there.")

    def _help(self, follower: Follower, job: Job) -> Attended:
        over = Loss(0, "ok", "There is nothing more to do.")
        with tempfile.TemporaryDirectory(prefix="tunelab-") as scratch:
            seat = follower.seat(job)
            member = self._helper(job.recipe, job.label, seat, Path(scratch), NOTHING_SHARED)
            attended = attend([member], elsewhere=lambda: over if follower.is_over(job) else None)
        if attended.loss is not None and attended.loss != over:
            follower.tell(job, attended.loss)
        return attended

    def _helper(
        self, recipe: Recipe, label: str, seat: Seat, scratch: Path, shared: Shared
    ) -> Member:
        """Not the first: what it writes is thrown away, and nothing is mirrored."""
        quiet = recipe.model_copy(update={"track": ()})
        directory = RunDirectory(scratch / str(seat.rank))
        return self._member(quiet, label, directory, seat=seat, quiet=True, shared=shared)

    def _member(
        self,
        recipe: Recipe,
        label: str,
        directory: RunDirectory,
        *,
        seat: Seat | None,
        quiet: bool,
        shared: Shared,
    ) -> Member:
        if not self._forks_itself:
            with for_runs():
                forkserver.ensure_running()
        process = self._context.Process(
            target=_child,
            args=(recipe, label, directory.path, quiet, shared, seat),
            name=directory.path.name,
        )
        return Member(process, seat.rank if seat else 0, directory)


def _child(
    recipe: Recipe, label: str, path: Path, quiet: bool, shared: Shared, seat: Seat | None
) -> None:
    from tunelab.runs.execute import execute

    keep_freed_memory()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hands it on as SIGTERM
    end_with_parent()
    directory = RunDirectory(path)
    with suppress(StorageError), hold(path, patience=_SECONDS_FOR_A_PREDECESSOR):
        execute(recipe, label, directory, quiet=quiet, stop=stop.is_set, shared=shared, seat=seat)
    if seat is not None and seat.rank > 0:  # nobody reads its manifest if all is well
        sys.exit(directory.read_manifest().status not in ("ok", "interrupted"))


def end_with_parent() -> None:
    """From now on this process ends at once when the one that began it is gone, whatever it does.

    What nobody waits for any more would go on and hold its memory.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _settle(
    recipe: Recipe, label: str, directory: RunDirectory, *, exit_code: int, attended: Attended
) -> Manifest:
    """The manifest as the run left it; a run that died without a word gets its status here.

    Raises:
        StorageError: not even that can be written.
    """
    loss = attended.loss
    with suppress(RecordError):  # the run ended before it wrote one
        manifest = directory.read_manifest()
        is_effect = loss is not None and manifest.message.startswith(LOST)
        if manifest.status != "running" and not is_effect:
            return manifest
    status: Status = "failed"
    if attended.interrupted:
        status, message = "interrupted", "Stopped before it could write a checkpoint."
    elif loss is not None:
        status, message = loss.status, f"Process {loss.rank} of the run: {loss.message}"
    elif exit_code == -signal.SIGKILL:
        status = "out_of_memory"
        message = (
            "The system killed the run (signal 9), most likely because memory ran out. "
            + LESS_MEMORY
        )
    else:
        message = f"The run's process ended with exit code {exit_code}."
    return write_ending(recipe, label, directory, status, message)
