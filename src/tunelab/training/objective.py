"""What the training loop minimises, whatever family of models it trains.

An objective holds the encoded training examples. A step's batch is cut into forward passes, and
these are dealt to the processes of the run; each yields the sum of the losses at its targets, and
the loop divides by the count of the whole batch, so that cutting changes nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from torch import Tensor

LossSum = Callable[[], Tensor]
"""A forward pass, done when it is called: the sum of the losses at its targets."""

Together = int | Literal["all"]
"""How many questions of a paragraph follow one another in the order of an epoch."""


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

    def batch(self, chosen: Sequence[int]) -> Batch:
        """The batch of these examples."""
        ...
