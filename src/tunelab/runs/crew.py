"""Processes that belong together: started, told of signals, and ended together.

If one ends badly the others may wait for it for ever. They get a moment to notice and to write what
they have to say, and are then ended; who went first, and how, is told.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType

from tunelab.errors import RecordError
from tunelab.records import RunDirectory
from tunelab.runs.stopping import SIGNALS
from tunelab.runs.team import Loss

_SECONDS_BETWEEN_REMINDERS = 1.0
SECONDS_TO_NOTICE = 10.0
"""That another process is gone."""
SECONDS_TO_LEAVE = 3.0
"""When the first process has ended: there is nothing more to do."""
LESS_MEMORY = (
    "Lower training.tokens_per_pass or model.max_length, or use a method that trains less."
)


@dataclass(frozen=True, slots=True)
class Member:
    """A process of a run."""

    process: BaseProcess
    rank: int
    directory: RunDirectory
    """Of the first one the run's, of others one that is thrown away."""


@dataclass(frozen=True, slots=True)
class Attended:
    """How it went."""

    interrupted: bool
    """A signal came."""
    loss: Loss | None
    """Who ended badly; the first process itself is told by its manifest."""


def attend(members: Sequence[Member], *, elsewhere: Callable[[], Loss | None]) -> Attended:
    """Start the processes and wait for the end of all; hand signals on.

    A first signal asks the run to write a checkpoint and stop, and it is reminded, since it may
    not have listened yet; a second one ends it.

    Args:
        members: the processes that are started here.
        elsewhere: tells of a process on another machine that ended badly.
    """
    received: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        _tell(members, received)

    previous = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        for member in members:
            member.process.start()
        loss = _wait(members, received, elsewhere)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return Attended(bool(received), loss)


def _wait(
    members: Sequence[Member], received: list[int], elsewhere: Callable[[], Loss | None]
) -> Loss | None:
    first = members[0].process
    loss: Loss | None = None
    patience: float | None = None
    while alive := [member.process for member in members if member.process.is_alive()]:
        _tell(members, received)
        loss = loss or _lost(members, elsewhere)
        if patience is None and (loss is not None or not first.is_alive()):
            patience = SECONDS_TO_NOTICE if loss is not None else SECONDS_TO_LEAVE
            patience += time.monotonic()
        if patience is not None and time.monotonic() > patience:
            for process in alive:
                process.kill()
                process.join()
            return loss
        connection.wait([process.sentinel for process in alive], _SECONDS_BETWEEN_REMINDERS)
    return loss or _lost(members, elsewhere)


def _tell(members: Sequence[Member], received: list[int]) -> None:
    for member in members:
        if received and member.process.pid is not None and member.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(
                    member.process.pid, signal.SIGTERM if len(received) == 1 else signal.SIGKILL
                )


def _lost(members: Sequence[Member], elsewhere: Callable[[], Loss | None]) -> Loss | None:
    """The first of those behind the first process that ended badly, unless that one went before."""
    if members[0].process.exitcode and members[0].rank == 0:
        return None
    here = (_loss_of(member) for member in members)
    return next((found for found in here if found is not None), None) or elsewhere()


def _loss_of(member: Member) -> Loss | None:
    """How a process ended, if it ended badly and is not the run itself."""
    code = member.process.exitcode
    if member.rank == 0 or not code:
        return None
    if code == -signal.SIGKILL:
        return Loss(
            member.rank,
            "out_of_memory",
            "The system killed it (signal 9), most likely because memory ran out. " + LESS_MEMORY,
        )
    with suppress(RecordError):
        manifest = member.directory.read_manifest()
        if manifest.status not in ("running", "ok", "interrupted"):
            return Loss(member.rank, manifest.status, manifest.message)
    return Loss(member.rank, "failed", f"It ended with exit code {code}.")
