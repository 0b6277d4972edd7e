"""Which process of a run reads what of a step: whole rows, so that none loses what it shares.

    one process     [ a b c d ] [ e f g ]
    two processes   [ a b c d ]            the first
                    [ e f g ]              the second

Pure, so that every process finds the same without asking the others. A dealing that is uneven
costs time and never the result: the loss of a step is a sum over all of its targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.packing import PackedTree, pack

_SLACK = (1.0, 1.25, 1.5)
"""Row lengths that are tried, in even shares of a step: longer rows repeat fewer prefixes."""


def deal(sizes: Sequence[int], processes: int) -> list[list[int]]:
    """Indices for each process: the largest first, each to whoever has the least so far."""
    loads = [0] * processes
    dealt: list[list[int]] = [[] for _ in range(processes)]
    for index in sorted(range(len(sizes)), key=lambda each: (-sizes[each], each)):
        least = loads.index(min(loads))
        loads[least] += sizes[index]
        dealt[least].append(index)
    return dealt


def deal_rows(
    examples: Sequence[EncodedExample], processes: int, *, tokens_per_pass: int
) -> list[list[PackedTree]]:
    """The rows of each process, the largest first.

    Rows as long as a pass allows may leave a process without one; shorter ones repeat what they
    share. Of a few row lengths the one is taken whose busiest process reads least.

    Args:
        examples: of one optimiser step.
        processes: how many share it.
        tokens_per_pass: tokens of a row at most.
    """
    rows = pack(examples, tokens_per_pass=tokens_per_pass)
    if processes == 1:
        return [rows]
    even = sum(len(row.tree) for row in rows) / processes
    shorter = [math.ceil(even * slack) for slack in _SLACK]
    layouts = [rows] + [
        pack(examples, tokens_per_pass=length) for length in shorter if length < tokens_per_pass
    ]
    return min((_dealt(layout, processes) for layout in layouts), key=_busiest)


def _dealt(rows: Sequence[PackedTree], processes: int) -> list[list[PackedTree]]:
    dealt = deal([len(row.tree) for row in rows], processes)
    return [[rows[index] for index in indices] for indices in dealt]


def _busiest(dealt: Sequence[Sequence[PackedTree]]) -> int:
    return max(sum(len(row.tree) for row in rows) for rows in dealt)
