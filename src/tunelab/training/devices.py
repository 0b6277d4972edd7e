"""The processes that train one model together, a device each; a run alone is a group of one.

    ddp    every process holds the whole model; the gradients of a step are summed (accelerate's
           DistributedDataParallel)
    fsdp   every process holds a share of every tensor, and gathers a layer when it is read
           (torch's own fully_shard: see `sharding`)

Each process has the same examples and draws the same order; the passes of a step are dealt
(`dealing`), and each does the same number of backward passes, empty ones too. The loss is the sum
over all targets divided by their count, so the result is that of one process, up to rounding.

What is no training is done by the first process while the others wait, for as long as it takes;
where the model is sharded all do it alike, since nobody has it whole, and the first one writes.
Starting processes and noticing that one is gone is the business of `tunelab.runs`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as group
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, TCPStore

from tunelab.errors import DataError, TunelabError
from tunelab.records import Proof
from tunelab.training.objective import LossSum
from tunelab.training.sharding import Whole, reshard, shard
from tunelab.tuning import TunedModel
from tunelab.tuning.proofs import checksum

Sharding = Literal["ddp", "fsdp"]
FOREVER = timedelta(days=365)
"""Nobody gives up waiting: who looks after the processes ends them if one is gone."""
LOST = "Another process of this run is gone"
_SIGNS_OF_LOSS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
_UNUSED = "Expected to have finished reduction in the prior iteration"
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place among those of a run."""

    rank: int
    """0 is the first, which writes."""
    size: int
    local_rank: int
    """Among those on the same machine: the device it takes."""
    local_size: int
    host: str
    """Where all meet."""
    port: int
    key: str
    """Keeps what is said in this run apart from what is said in others."""
    sharding: Sharding

    @property
    def line(self) -> str:
        """For the manifest."""
        return f"{self.size} ({self.sharding})"


class Devices:
    """This process and the others of its run."""

    def __init__(self, accelerator: Accelerator, seat: Seat | None = None) -> None:
        self.accelerator = accelerator
        self.rank = seat.rank if seat else 0
        self.size = seat.size if seat else 1
        self.is_sharded = seat is not None and seat.sharding == "fsdp"
        self._local_size = seat.local_size if seat else 1
        self._whole: nn.Module | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.rank == 0

    @property
    def answers(self) -> bool:
        """Whether this process takes part in what comes after the training."""
        return self.is_first or self.is_sharded

    @property
    def home(self) -> torch.device:
        """Where a whole model is put: the host, if no device is to hold it whole."""
        return torch.device("cpu") if self.is_sharded else self.accelerator.device

    def prepare(self, tuned: TunedModel) -> None:
        """Make the model ready to be trained by all; its parameters may be new tensors then."""
        if self.size == 1:
            return
        whole = Whole(tuned.model)
        if self.is_sharded:
            shard(whole, tuned, self.accelerator.device)
            self._whole = whole
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # accelerate knows no newer option
                self._whole = self.accelerator.prepare_model(whole)
        if not self.is_first:  # each draws a dropout of its own
            torch.manual_seed(torch.initial_seed() + self.rank)

    def inside(self, compute: Callable[[], ResultT]) -> ResultT:
        """Compute something with the model; gradients that follow are everybody's."""
        return compute() if self._whole is None else self._whole(compute)

    def backward(self, passes: list[list[LossSum]], *, targets: int) -> float:
        """Gradients of the mean loss of a step, summed over all processes; returns that loss.

        Args:
            passes: those of each process.
            targets: of the whole step.
        """
        mine, total = self._mine(passes), 0.0
        for number, (loss_sum, factor) in enumerate(mine, start=1):
            with self._adding_up(last=number == len(mine)):
                loss = self._forward(loss_sum) * factor / targets
                self.accelerator.backward(loss * self.size)  # gradients are averaged
            total += loss.item()
        return self.sum(total)

    def sum(self, value: float) -> float:
        """Over all processes."""
        if self.size == 1:
            return value
        both = torch.tensor(value, dtype=torch.float64)
        group.all_reduce(both)
        return both.item()

    def any(self, value: bool) -> bool:
        """Whether it is so for some process."""
        return self.sum(float(value)) > 0

    def judged(self, compute: Callable[[], float]) -> float:
        """A figure about the model, the same for all: the first process's."""
        if self.size == 1:
            return compute()
        value = self.answered(compute) if self.answers else 0.0
        return self.sum(value if self.is_first else 0.0)

    def answered(self, compute: Callable[[], ResultT]) -> ResultT:
        """What is computed with the model when nothing is learnt from it."""
        if self.is_sharded:
            with torch.no_grad():
                found = self.inside(compute)
            reshard(self._whole)
            return found
        if self._local_size == 1:
            return compute()
        with self._all_cores():
            return compute()

    def from_first(self, value: ResultT) -> ResultT:
        """What the first process has."""
        if self.size == 1:
            return value
        held: list[Any] = [value if self.is_first else None]
        group.broadcast_object_list(held, src=0, device=torch.device("cpu"))
        return held[0]

    def from_all(self, value: ResultT) -> list[ResultT]:
        """What each process has, in their order."""
        if self.size == 1:
            return [value]
        held: list[Any] = [None] * self.size
        group.all_gather_object(held, value)
        return held

    def agreement(self, trained: Mapping[str, Tensor]) -> list[Proof]:
        """That all processes hold the same weights; nothing to prove where each has its own part.

        Args:
            trained: the tensors that were trained, by their names.
        """
        if self.size == 1 or self.is_sharded:
            return []
        mine = {name: checksum(tensor) for name, tensor in trained.items()}
        for rank, theirs in enumerate(self.from_all(mine)):
            other = [name for name, value in mine.items() if theirs[name] != value]
            if other:
                return [
                    Proof(
                        name="all processes hold the same weights",
                        held=False,
                        found=f"processes {self.rank} and {rank} differ in {len(other)} of "
                        f"{len(mine)} trained tensors, {other[0]} among them",
                        remedy="Train with one process, and report this.",
                    )
                ]
        found = f"{len(mine)} trained tensors are the same, bit for bit, in {self.size} processes"
        return [Proof(name="all processes hold the same weights", held=True, found=found)]

    def _mine(self, passes: list[list[LossSum]]) -> list[tuple[LossSum, float]]:
        """This process's passes, and empty ones up to the number of those who have most."""
        mine = [(loss_sum, 1.0) for loss_sum in passes[self.rank]]
        smallest = min((each for each in passes if each), key=len)[-1]
        missing = max(map(len, passes)) - len(mine)
        return mine + [(mine[-1][0] if mine else smallest, 0.0)] * missing

    def _forward(self, loss_sum: LossSum) -> Tensor:
        try:
            return self.inside(loss_sum)
        except RuntimeError as error:
            if _UNUSED not in str(error):
                raise
            raise TunelabError(
                "A trained tensor took no part in a pass, which several processes cannot share.",
                hint="Leave --processes out.",
            ) from error

    def _adding_up(self, *, last: bool) -> AbstractContextManager[object]:
        """Gradients travel once a step; sharded ones with every pass, for they have no room."""
        if last or self.is_sharded or self._whole is None:
            return nullcontext()
        return self.accelerator.no_sync(self._whole)

    @contextmanager
    def _all_cores(self) -> Iterator[None]:
        """While the others of this machine wait, nobody else needs them."""
        threads = torch.get_num_threads()
        torch.set_num_threads(threads * self._local_size)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def take_device(seat: Seat | None) -> None:
    """The one that belongs to a seat; before anything is put on another."""
    if seat is not None and torch.cuda.is_available():
        torch.cuda.set_device(seat.local_rank)


def meet(seat: Seat | None, *, mixed_precision: Literal["no", "bf16"]) -> Devices:
    """Join the other processes of the run; alone without a seat."""
    if seat is None:
        return Devices(Accelerator(mixed_precision=mixed_precision))
    cuda = torch.cuda.is_available()
    places = {"RANK": seat.rank, "WORLD_SIZE": seat.size}
    places |= {"LOCAL_RANK": seat.local_rank, "LOCAL_WORLD_SIZE": seat.local_size}
    threads = max(1, torch.get_num_threads() // (1 if cuda else seat.local_size))
    places["OMP_NUM_THREADS"] = threads
    os.environ.update({name: str(number) for name, number in places.items()})  # for accelerate
    torch.set_num_threads(threads)
    store = TCPStore(seat.host, seat.port, is_master=False, timeout=FOREVER)
    group.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=PrefixStore(seat.key, store),
        rank=seat.rank,
        world_size=seat.size,
        timeout=FOREVER,
    )
    # One that was made before this process was forked knows of no others, and would be taken again:
    # the gradients would stay apart.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        cpu=not cuda,
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    assert accelerator.num_processes == seat.size
    return Devices(accelerator, seat)


def refuse_difference(origins: Sequence[str]) -> None:
    """All processes must hold the same data and start from the same weights.

    Raises:
        DataError: they do not.
    """
    other = [rank for rank, origin in enumerate(origins) if origin != origins[0]]
    if other:
        raise DataError(
            f"Process {other[0]} read other data or another checkpoint than process 0.",
            hint="Give every machine the same files, and the same versions of the packages.",
        )


def is_lost(error: Exception) -> bool:
    """Whether it tells that another process is gone."""
    return isinstance(error, group.DistError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS_OF_LOSS)
    )
