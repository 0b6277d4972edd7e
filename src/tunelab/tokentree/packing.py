"""Examples -> trees for single rows, none above a budget of tokens where that can be.

The trie of all examples is cut from the root downwards: what fits the budget stays whole, so that
the questions on a paragraph share a row; what does not is cut into its branches, and each row
that takes some of them repeats the prefix before them. Rows are filled largest branch first.

    budget 10        shared [ a b c d ]  +  [ e f g ]  [ h i ]  [ j k l m ]  [ n ]
    rows             [ a b c d | j k l m | h i ]    [ a b c d | e f g | n ]

Pure: the same examples in the same order give the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.tree import TokenTree, build_tree, common_prefix


@dataclass(frozen=True, slots=True)
class PackedTree:
    """One row: a tree, and which examples are in it."""

    tree: TokenTree
    examples: tuple[int, ...]
    """Their indices, ascending; the order of `tree.leaves`."""


def pack(examples: Sequence[EncodedExample], *, tokens_per_pass: int) -> list[PackedTree]:
    """Lay examples out in as few rows as first-fit-decreasing finds, the largest row first.

    Args:
        examples: any number, in any order.
        tokens_per_pass: tokens of a row at most; a longer example is a row of its own.
    """
    rows = _Packing(examples, tokens_per_pass).rows() if examples else []
    packed = [_packed(examples, row) for row in rows]
    return sorted(packed, key=lambda each: (-len(each.tree), each.examples))


def one_by_one(examples: Sequence[EncodedExample]) -> list[PackedTree]:
    """A row for each example, the longest first: nothing is shared."""
    packed = [_packed(examples, [index]) for index in range(len(examples))]
    return sorted(packed, key=lambda each: (-len(each.tree), each.examples))


@dataclass(slots=True)
class _Bin:
    """Examples for one row."""

    tokens: int
    """Of their trie, counted from the node that is being cut."""
    examples: list[int]


class _Packing:
    """The sorted examples: those below a node of the trie are neighbours, from `low` to `high`."""

    def __init__(self, examples: Sequence[EncodedExample], budget: int) -> None:
        self.budget = budget
        self.order = sorted(range(len(examples)), key=lambda i: (examples[i].ids, i))
        self.ids = [examples[i].ids for i in self.order]
        self.shared = [0, *(common_prefix(one, other) for one, other in pairwise(self.ids))]

    def rows(self) -> list[list[int]]:
        return [each.examples for each in self._cut(0, len(self.order), depth=0)]

    def _cut(self, low: int, high: int, *, depth: int) -> list[_Bin]:
        """Bins of the examples from `low` to `high`, which share their first `depth` tokens."""
        inside = range(low + 1, high)
        size = len(self.ids[low]) + sum(len(self.ids[i]) - self.shared[i] for i in inside)
        if size <= self.budget or self.ids[low] == self.ids[high - 1]:
            return [_Bin(size - depth, self.order[low:high])]
        fork = min(self.shared[i] for i in inside)
        starts = [low, *(i for i in inside if self.shared[i] == fork and self._turns(i, fork))]
        branches = [
            each
            for start, end in pairwise([*starts, high])
            for each in self._cut(start, end, depth=fork)
        ]
        joined = _first_fit(branches, self.budget - fork)
        return [_Bin(each.tokens + fork - depth, each.examples) for each in joined]

    def _turns(self, index: int, fork: int) -> bool:
        """Whether a new branch begins here; those that end at the fork are one branch."""
        return len(self.ids[index]) > fork


def _first_fit(bins: list[_Bin], capacity: int) -> list[_Bin]:
    """Join bins, largest first, each into the first that has room for it."""
    joined: list[_Bin] = []
    for each in sorted(bins, key=lambda b: (-b.tokens, min(b.examples))):
        for row in joined:
            if row.tokens + each.tokens <= max(capacity, row.tokens):  # nothing always fits
                row.tokens += each.tokens
                row.examples = [*row.examples, *each.examples]
                break
        else:
            joined.append(each)
    return joined


def _packed(examples: Sequence[EncodedExample], chosen: Sequence[int]) -> PackedTree:
    indices = tuple(sorted(chosen))
    return PackedTree(build_tree([examples[index] for index in indices]), indices)
