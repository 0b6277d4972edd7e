"""The processes that do one run together: started here, or by a launcher such as torchrun.

    tunelab run --processes 2                   this process starts both for every run
    torchrun --nproc-per-node 2 -m tunelab run  the launcher started two: the first one leads, the
                                                others follow it from run to run

The first process of a run is the run: it has the run's directory. Each other one does the same in
a folder that is thrown away. A follower learns from a store what is next; all that it needs are the
data and the checkpoint, not the output directory. The order of words in the store:

    job/3          the third run: its recipe and label
    lost/3         a process of it ended badly: which, and why
    over/3         its first process has ended
    job/4 "over"   there is nothing more to do
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Protocol

from torch._C._distributed_c10d import PrefixStore, TCPStore

from tunelab.recipe import NoTuning, Recipe
from tunelab.records import Status
from tunelab.training.devices import FOREVER, Seat, Sharding

_LOCAL = "127.0.0.1"
_OVER = "over"
_OF_LAUNCHERS = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_USE_AGENT_STORE",
)


@dataclass(frozen=True, slots=True)
class Loss:
    """A process of a run that ended badly, while others may still wait for it."""

    rank: int
    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is to be done by all."""

    number: int
    recipe: Recipe
    label: str


class Team(Protocol):
    """Who does a run together."""

    def seats(self, recipe: Recipe, label: str, /) -> list[Seat]:
        """The seats of the next run that this process has to fill, the first one's first."""
        ...

    def loss(self) -> Loss | None:
        """What became of the seats that others fill, if it is bad."""
        ...

    def over(self) -> None:
        """The run's first process has ended."""
        ...


class LocalTeam:
    """All on this machine, started by this process."""

    def __init__(self, size: int, sharding: Sharding) -> None:
        """Of so many processes for every run."""
        self._size = size
        self._sharding: Sharding = sharding
        self._numbers = count(1)
        self._store: TCPStore | None = None

    def seats(self, _recipe: Recipe, _label: str, /) -> list[Seat]:
        """All of them."""
        if self._store is None:
            self._store = TCPStore(_LOCAL, 0, is_master=True, wait_for_workers=False)
        number = next(self._numbers)
        return [
            Seat(
                rank=rank,
                size=self._size,
                local_rank=rank,
                local_size=self._size,
                host=_LOCAL,
                port=self._store.port,
                key=f"run-{number}",
                sharding=self._sharding,
            )
            for rank in range(self._size)
        ]

    def loss(self) -> Loss | None:
        """Nobody is elsewhere."""

    def over(self) -> None:
        """Nobody is to be told."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launcher told this process."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    store_is_there: bool
    """The launcher serves the store; else the first process does."""

    def open_store(self) -> PrefixStore:
        """Where all meet."""
        serves = self.rank == 0 and not self.store_is_there
        store = TCPStore(
            self.host, self.port, is_master=serves, timeout=FOREVER, wait_for_workers=False
        )
        return PrefixStore("tunelab", store)

    def seat(self, number: int, sharding: Sharding) -> Seat:
        """In a run."""
        return Seat(
            rank=self.rank,
            size=self.size,
            local_rank=self.local_rank,
            local_size=self.local_size,
            host=self.host,
            port=self.port,
            key=f"run-{number}",
            sharding=sharding,
        )


class Leader:
    """The first process that a launcher started."""

    def __init__(self, launch: Launch, sharding: Sharding) -> None:
        self._launch = launch
        self._sharding: Sharding = sharding
        self._store = launch.open_store()
        self._number = 0

    def seats(self, recipe: Recipe, label: str, /) -> list[Seat]:
        """Its own; the others are told."""
        self._number += 1
        job = {"recipe": recipe.model_dump_json(), "label": label}
        self._store.set(f"job/{self._number}", json.dumps(job))
        return [self._launch.seat(self._number, self._sharding)]

    def loss(self) -> Loss | None:
        """What a follower said."""
        key = f"lost/{self._number}"
        return Loss(**json.loads(self._store.get(key))) if self._store.check([key]) else None

    def over(self) -> None:
        """Tell the followers."""
        self._store.set(f"over/{self._number}", _OVER)

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Let the followers go in the end, whatever happens."""
        try:
            yield
        finally:
            self._store.set(f"job/{self._number + 1}", _OVER)


class Follower:
    """Any other process that a launcher started."""

    def __init__(self, launch: Launch, sharding: Sharding) -> None:
        self._launch = launch
        self._sharding: Sharding = sharding
        self._store = launch.open_store()

    def jobs(self) -> Iterator[Job]:
        """One after the other, as the leader tells them."""
        for number in count(1):
            told = self._store.get(f"job/{number}")  # waits
            if told == _OVER.encode():
                return
            job = json.loads(told)
            yield Job(number, Recipe.model_validate_json(job["recipe"]), job["label"])

    def seat(self, job: Job) -> Seat:
        """This process's."""
        return self._launch.seat(job.number, self._sharding)

    def is_over(self, job: Job) -> bool:
        """Whether the first process has ended."""
        return self._store.check([f"over/{job.number}"])

    def tell(self, job: Job, loss: Loss) -> None:
        """That this process ended badly."""
        self._store.set(f"lost/{job.number}", json.dumps(asdict(loss)))


def take_launch(environment: dict[str, str] | os._Environ[str]) -> Launch | None:
    """What a launcher left in the environment, taken out of it; None if there was none.

    Runs that need one process only are started from here too, and shall not take themselves for
    one of several.
    """
    told = {name: environment.pop(name, "") for name in _OF_LAUNCHERS}
    if not told["RANK"] or int(told["WORLD_SIZE"] or 1) < 2:
        return None
    return Launch(
        rank=int(told["RANK"]),
        size=int(told["WORLD_SIZE"]),
        local_rank=int(told["LOCAL_RANK"] or 0),
        local_size=int(told["LOCAL_WORLD_SIZE"] or 1),
        host=told["MASTER_ADDR"],
        port=int(told["MASTER_PORT"]),
        store_is_there=told["TORCHELASTIC_USE_AGENT_STORE"] == "True",
    )


def is_shared_work(recipe: Recipe) -> bool:
    """Whether a run trains: what only answers is done by one process."""
    only_scores = isinstance(recipe.tuning, NoTuning) or bool(recipe.evaluation.quantize)
    return not only_scores and recipe.model.endpoint is None
