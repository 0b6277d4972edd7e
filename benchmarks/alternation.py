"""Two trainings side by side: each in a process of its own, taking turns, one block at a time.

    first   | 5 steps |         | 5 steps |         | ...
    second  |         | 5 steps |         | 5 steps |

Whatever else the machine does falls on both alike. A training asks its `Baton` for the first turn
and tells it every step; between its turns it sleeps on a pipe. Nothing is shared but the clock.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tunelab.training.meters import MemoryMeter


@dataclass(frozen=True, slots=True)
class Block:
    """What a training did in one turn."""

    seconds: float
    losses: list[float]
    """One per optimiser step."""
    peak_bytes: int
    """Peak memory of its process so far, above what it held with its imports done."""


class Baton:
    """A training's end of the pipe."""

    def __init__(self, pipe: Connection, steps: int) -> None:
        self._pipe = pipe
        self._steps = steps
        self._losses: list[float] = []
        self._began = 0.0
        self._memory = MemoryMeter()

    def imported(self) -> None:
        """Memory is counted from here on; before, what the imports took."""
        self._memory = MemoryMeter()

    def wait(self) -> None:
        """Sleep until it is this training's turn."""
        self._pipe.recv()
        self._losses = []
        self._began = time.perf_counter()

    def step(self, loss: float) -> None:
        """Tell a finished step; at the end of a block, hand over and sleep."""
        self._losses.append(loss)
        if len(self._losses) == self._steps:
            seconds = time.perf_counter() - self._began
            self._pipe.send(Block(seconds, self._losses, self._memory.peak_bytes()))
            self.wait()


Side = Callable[[Baton], None]
"""A training, to be run in a fresh process: picklable, and one step more than the blocks hold."""


def alternate(
    sides: Mapping[str, Side], *, blocks: int, steps: int, told: Callable[[str], None]
) -> dict[str, list[Block]]:
    """Let the sides take turns until each has done `blocks` blocks of `steps` steps.

    Raises:
        RuntimeError: a side ended before its blocks were done.
    """
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for name, side in sides.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(side, theirs, steps), name=name, daemon=True)
        process.start()
        theirs.close()
        pipes[name] = ours
        processes.append(process)
    results: dict[str, list[Block]] = {name: [] for name in sides}
    try:
        for number in range(blocks):
            for name, pipe in pipes.items():
                pipe.send(None)
                results[name].append(_receive(pipe, name))
            told(f"block {number + 1} of {blocks}")
    finally:
        for process in processes:
            process.kill()
    return results


def _run(side: Side, pipe: Connection, steps: int) -> None:
    side(Baton(pipe, steps))


def _receive(pipe: Connection, name: str) -> Block:
    try:
        return pipe.recv()
    except EOFError as error:
        raise RuntimeError(f"the training '{name}' ended before its blocks were done") from error
