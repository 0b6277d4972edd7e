"""From the command line to the processes of a run: who is there, and whether that can work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tunelab.errors import UsageError
from tunelab.recipe import Recipe, expand
from tunelab.runs.process import Workers
from tunelab.runs.team import Follower, Launch, Leader, LocalTeam, take_launch
from tunelab.training.devices import Sharding
from tunelab.training.sharding import check_sharding


@contextmanager
def together(recipe: Recipe, *, processes: int, sharding: Sharding) -> Iterator[Workers | None]:
    """The workers of a grid, whose runs are trained by several processes if that was asked for.

    Where a launcher started several processes, the first one gets the workers; the others take
    part until there is nothing more to do, and get None.

    Args:
        recipe: with its grid.
        processes: on this machine, for every run.
        sharding: how they hold a model.

    Raises:
        UsageError: there are fewer devices, or the options contradict each other.
        TuningError: a run cannot be sharded.
        Interrupted: this process was asked to stop while it followed the first one.
    """
    launch = take_launch(os.environ)
    _check(recipe, launch, processes=processes, sharding=sharding)
    if launch is None:
        yield Workers(team=LocalTeam(processes, sharding) if processes > 1 else None)
    elif launch.rank == 0:
        leader = Leader(launch, sharding)
        with leader.leading():
            yield Workers(team=leader)
    else:
        Workers().follow(Follower(launch, sharding))
        yield None


def _check(recipe: Recipe, launch: Launch | None, *, processes: int, sharding: Sharding) -> None:
    if launch is not None and processes > 1:
        raise UsageError(
            f"A launcher has started {launch.size} processes already, and --processes asks for "
            f"{processes} more for each.",
            hint="Leave --processes out, or start tunelab without the launcher.",
        )
    if sharding == "fsdp" and launch is None and processes == 1:
        raise UsageError(
            "--sharding fsdp shares a model among several processes, and there is one.",
            hint="Add --processes 2 or more.",
        )
    refuse_more_than(present_devices(), launch.local_size if launch else processes)
    if sharding == "fsdp":
        for run in expand(recipe):
            check_sharding(run)


def refuse_more_than(there: tuple[int, str], wanted: int) -> None:
    """Refuse more processes on this machine than it has devices.

    Raises:
        UsageError: with what is there.
    """
    count, kind = there
    if wanted > max(count, 1):
        raise UsageError(
            f"{wanted} processes need {wanted} devices, and there are {count} {kind} here.",
            hint=f"Ask for at most {count}." if count > 1 else "Leave --processes out.",
        )


def present_devices() -> tuple[int, str]:
    """The accelerators of this machine, or else the cores that this process may use."""
    if torch.cuda.is_available():
        return torch.cuda.device_count(), "CUDA devices"
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)), "cores"
    return os.cpu_count() or 1, "cores"
