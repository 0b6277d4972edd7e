"""From the command line to what does the runs: one process or several, here or on a cluster."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tunelab.errors import UsageError
from tunelab.recipe import Recipe, expand
from tunelab.runs.planned import Executor
from tunelab.runs.process import Workers
from tunelab.runs.progress import Display
from tunelab.runs.team import Follower, Launch, Leader, LocalTeam, take_launch
from tunelab.training.devices import Sharding
from tunelab.training.sharding import check_sharding


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    processes: int = 1
    """On this machine, for every run."""
    sharding: Sharding = "ddp"
    """How they hold a model."""
    executor: Literal["local", "ray"] = "local"
    address: str | None = None
    """Of a Ray cluster."""


@contextmanager
def executor_of(
    recipe: Recipe, out: Path, asked: Asked, *, quiet: bool
) -> Iterator[Executor | None]:
    """What does the runs of a grid, as it was asked for.

    Where a launcher started several processes, the first one gets it; the others take part until
    there is nothing more to do, and get None.

    Raises:
        UsageError: there are fewer devices, nobody answers at the address, or the options
            contradict each other.
        TuningError: a run cannot be sharded.
        Interrupted: this process was asked to stop while it followed the first one.
    """
    launch = take_launch(os.environ)
    _check(asked, launch)
    if asked.sharding == "fsdp":
        for run in expand(recipe):
            check_sharding(run)
    if asked.executor == "ray":
        from tunelab.runs.ray_cluster import ray_cluster

        display = Display(recipe.name, quiet=quiet)
        with ray_cluster(asked.address, out, say=display.say) as cluster:
            yield cluster
    elif launch is None:
        several = asked.processes > 1
        yield Workers(team=LocalTeam(asked.processes, asked.sharding) if several else None)
    elif launch.rank == 0:
        leader = Leader(launch, asked.sharding)
        with leader.leading():
            yield Workers(team=leader)
    else:
        Workers().follow(Follower(launch, asked.sharding))
        yield None


def _check(asked: Asked, launch: Launch | None) -> None:
    if asked.address is not None and asked.executor != "ray":
        raise UsageError(
            "--address is that of a Ray cluster, and --executor is local.",
            hint="Add --executor ray, or leave --address out.",
        )
    if asked.executor == "ray":
        if asked.processes > 1 or launch is not None:
            raise UsageError(
                "On a Ray cluster every run is one process.",
                hint="Leave --processes (and the launcher) out, or --executor ray.",
            )
        if importlib.util.find_spec("ray") is None:
            raise UsageError(
                "--executor ray needs Ray, which is not installed.",
                hint="pip install 'tunelab[ray]'",
            )
    if launch is not None and asked.processes > 1:
        raise UsageError(
            f"A launcher has started {launch.size} processes already, and --processes asks for "
            f"{asked.processes} more for each.",
            hint="Leave --processes out, or start tunelab without the launcher.",
        )
    if asked.sharding == "fsdp" and launch is None and asked.processes == 1:
        raise UsageError(
            "--sharding fsdp shares a model among several processes, and there is one.",
            hint="Add --processes 2 or more.",
        )
    refuse_more_than(present_devices(), launch.local_size if launch else asked.processes)


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
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0)), "cores"
    return os.cpu_count() or 1, "cores"
