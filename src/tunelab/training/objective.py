"""What the training loop minimises, whatever family of models it trains.

An objective holds the encoded training examples. A step's batch is cut into forward passes, and
these are dealt to the processes of the run; each yields the sum of the losses at its targets, and
the loop divides by the count of the whole batch, so that cutting changes nothing but rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

LossSum = Callable[[], Tensor]
"""A forward pass, done when it is called: the sum of the losses at its targets."""

Together = int | Literal["all"]
"""How many questions of a paragraph follow one another in the order of an epoch."""


@dataclass(frozen=True, slots=True)
class Mix:
    """The training examples of a mixture by their parts, and how many an epoch takes of each."""

    parts: tuple[str, ...]
    """(N,) the part of each example."""
    counts: Mapping[str, int]
    """Part -> examples of an epoch."""

    @property
    def size(self) -> int:
        """Examples of an epoch."""
        return sum(self.counts.values())

    @property
    def sentence(self) -> str:
        """What an epoch is made of."""
        there = Counter(self.parts)
        told = ", ".join(f"{count} of {there[name]} {name}" for name, count in self.counts.items())
        return f"mixture: an epoch draws {told}"


class Batch(Protocol):
    """The examples of one optimiser step."""

    @property
    def tokens(self) -> int:
        """Real tokens of the examples, each example counted whole."""
        ...

    @property
    def targets(self) -> int:
        """Positions that the loss is taken at."""
        ...

    def passes(self, processes: int) -> list[list[LossSum]]:
        """The forward passes of each of so many processes, the largest first."""
        ...


class Objective(Protocol):
    """Encoded training examples, and how a model's loss on some of them is computed."""

    @property
    def groups(self) -> Sequence[str]:
        """The paragraph of each example."""
        ...

    @property
    def together(self) -> Together:
        """What the order of an epoch keeps together."""
        ...

    @property
    def mix(self) -> Mix | None:
        """How many examples of each part of a mixture an epoch draws; None: each example once."""
        ...

    def batch(self, chosen: Sequence[int]) -> Batch:
        """The batch of these examples."""
        ...
