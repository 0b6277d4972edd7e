"""Order of the data and learning rate: pure functions of the recipe, so that a resumed run and
every method see the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

import numpy as np

from tunelab.recipe import Training
from tunelab.training.objective import Together


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """The last step of an epoch may hold fewer examples."""
    return math.ceil(examples / batch_size)


def epoch_order(
    groups: Sequence[str], together: Together = 1, *, seed: int, epoch: int
) -> list[int]:
    """The order of the examples in an epoch (counted from 0); the same for every method.

    Args:
        groups: the paragraph of each example.
        together: how many questions of a paragraph follow one another: each paragraph's questions
            are shuffled and cut into runs of so many, and the runs are shuffled.
    """
    random = np.random.default_rng([seed, epoch])
    if together == 1:
        return random.permutation(len(groups)).tolist()
    members: dict[str, list[int]] = {}
    for example, group in enumerate(groups):
        members.setdefault(group, []).append(example)
    runs: list[list[int]] = []
    for paragraph in members.values():
        shuffled = random.permutation(paragraph).tolist()
        size = len(shuffled) if together == "all" else together
        runs += [shuffled[begin : begin + size] for begin in range(0, len(shuffled), size)]
    return [example for run in random.permutation(len(runs)) for example in runs[run]]


def step_examples(order: Sequence[int], step_in_epoch: int, batch_size: int) -> Sequence[int]:
    """The examples of one optimiser step."""
    return order[step_in_epoch * batch_size : (step_in_epoch + 1) * batch_size]


def rate_factor(step: int, total: int, settings: Training) -> float:
    """Share of the highest learning rate at a step (counted from 0).

    Rises linearly over the warm-up, reaching 1 at its last step; then stays, or falls to zero at
    the step after the last: linearly, or along half a cosine.
    """
    warmup = settings.warmup if settings.warmup >= 1 else settings.warmup * total
    warm = math.ceil(warmup)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(total - warm, 1)
    match settings.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - done
        case "cosine":
            return (1.0 + math.cos(math.pi * done)) / 2
        case _:
            assert_never(settings.schedule)
