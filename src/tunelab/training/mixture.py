"""Which examples of a mixture an epoch draws: a pure function of the seed and the epoch.

Every part has an endless list of its examples, shuffled anew each time that all of them were
drawn; an epoch takes the next so many of each part's list. So a part with few examples repeats them
evenly, one with many shows others in every epoch, and a resumed run draws what it would have drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from tunelab.data import part_shares
from tunelab.recipe import MixtureTask
from tunelab.training.objective import Mix, Objective, Together
from tunelab.training.schedule import epoch_order


def counts_of(task: MixtureTask, parts: Sequence[str]) -> dict[str, int]:
    """How many examples an epoch takes of each part: its share, to the largest remainder.

    Args:
        task: its weights, and the examples of an epoch.
        parts: (N,) the part of each training example that the model can read.
    """
    there = Counter(parts)
    shares = {name: share for name, share in part_shares(task).items() if share > 0 and there[name]}
    total = task.examples or sum(there[name] for name in shares)
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in rest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def epoch_size(objective: Objective) -> int:
    """Examples of an epoch."""
    return len(objective.groups) if objective.mix is None else objective.mix.size


def drawn_order(objective: Objective, *, seed: int, epoch: int) -> list[int]:
    """The examples of an epoch (counted from 0) in their order; the same for every method."""
    groups, together = objective.groups, objective.together
    if objective.mix is None:
        return epoch_order(groups, together, seed=seed, epoch=epoch)
    return mixed_order(groups, objective.mix, together, seed=seed, epoch=epoch)


def mixed_order(
    groups: Sequence[str], mix: Mix, together: Together, *, seed: int, epoch: int
) -> list[int]:
    """The examples that an epoch of a mixture draws, in their order.

    Args:
        groups: (N,) what each example belongs to, such as its paragraph.
        mix: how many are drawn of each part.
        together: as in `epoch_order`; it keeps together what a part's own order keeps together.
    """
    runs: list[list[int]] = []
    for number, (name, count) in enumerate(mix.counts.items()):
        members = [index for index, part in enumerate(mix.parts) if part == name]
        drawn = _drawn(groups, members, together, count, seed=seed + number, epoch=epoch)
        if together == 1:
            runs += [[example] for example in drawn]
        else:
            runs += [list(run) for _, run in groupby(drawn, key=lambda example: groups[example])]
    order = np.random.default_rng([seed, epoch, len(groups)]).permutation(len(runs))
    return [example for run in order for example in runs[run]]


def _drawn(
    groups: Sequence[str],
    members: Sequence[int],
    together: Together,
    count: int,
    *,
    seed: int,
    epoch: int,
) -> list[int]:
    """The part's next `count` examples, behind those of the epochs before."""
    first, own = epoch * count, [groups[index] for index in members]
    rounds = range(first // len(members), (first + count - 1) // len(members) + 1)
    order = [
        members[place]
        for each in rounds
        for place in epoch_order(own, together, seed=seed, epoch=each)
    ]
    begin = first - rounds.start * len(members)
    return order[begin : begin + count]
