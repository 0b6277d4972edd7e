"""The token tree: many sequences, every shared prefix once.

Questions on one paragraph share the instruction and the paragraph; answers to one question share
the question too. The trie of their token sequences, written out parents before children,

    place       0    1    2    3   |  4    5    6  |  7    8
    tokens    [ In   1887 ,    a   |  Who  ?    Al |  When ?  ... ]
    parents    -1    0    1    2   |  3    4    5  |  3    7
    positions   0    1    2    3   |  4    5    6  |  4    5
    ends        9    9    9    9   |  7    7    7  |  9    9

is one row of a forward pass. The descendants of a token stand right behind it, up to its end, so
that who sees whom is one comparison: the token at place q sees the one at k if and only if

    k <= q < ends[k]        (k is q itself or an ancestor of q)

A sequence is tokenised whole before it gets here; sharing changes no token. What a tree computes
is what its sequences compute one by one, because a token sees just the tokens before it in its own
sequence, at the same positions. Several roots are allowed: trees packed into one row are a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunelab.prompts.encoded import EncodedExample

Places = npt.NDArray[np.int64]

NO_PARENT = -1


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A trie of token sequences in preorder. Shapes: N tokens, E sequences."""

    tokens: Places
    """(N,) token ids."""
    parents: Places
    """(N,) place of the token before this one, or NO_PARENT."""
    positions: Places
    """(N,) number of ancestors: the position in every sequence that goes through this token."""
    ends: Places
    """(N,) one past the place of the last descendant."""
    weights: Places
    """(N,) how many sequences have this token as a target."""
    leaves: Places
    """(E,) place of the last token of each sequence, in the order the sequences were given."""

    def __len__(self) -> int:
        return len(self.tokens)

    def path(self, leaf: int) -> Places:
        """Places from the root to a token, the token itself included."""
        places = [leaf]
        while (parent := int(self.parents[places[-1]])) != NO_PARENT:
            places.append(parent)
        return np.array(places[::-1], dtype=np.int64)


def build_tree(sequences: Sequence[EncodedExample]) -> TokenTree:
    """The trie of the sequences; equal sequences share their leaf and add up their targets."""
    tokens: list[int] = []
    parents: list[int] = []
    weights: list[int] = []
    leaves = [0] * len(sequences)
    path: list[int] = []  # places of the tokens of the sequence before, in their order
    before: tuple[int, ...] = ()
    for index in sorted(range(len(sequences)), key=lambda i: sequences[i].ids):
        sequence = sequences[index]
        shared = common_prefix(before, sequence.ids)
        del path[shared:]
        for token in sequence.ids[shared:]:
            parents.append(path[-1] if path else NO_PARENT)
            path.append(len(tokens))
            tokens.append(token)
            weights.append(0)
        for place, target in zip(path, sequence.targets, strict=True):
            weights[place] += target
        leaves[index] = path[-1]
        before = sequence.ids
    return TokenTree(
        tokens=_places(tokens),
        parents=_places(parents),
        positions=_positions(parents),
        ends=_ends(parents),
        weights=_places(weights),
        leaves=_places(leaves),
    )


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share from the beginning on."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


def _positions(parents: Sequence[int]) -> Places:
    positions: list[int] = []
    for parent in parents:
        positions.append(0 if parent == NO_PARENT else positions[parent] + 1)
    return _places(positions)


def _ends(parents: Sequence[int]) -> Places:
    ends = list(range(1, len(parents) + 1))
    for place in range(len(parents) - 1, -1, -1):
        parent = parents[place]
        if parent != NO_PARENT:
            ends[parent] = max(ends[parent], ends[place])
    return _places(ends)


def _places(values: Sequence[int]) -> Places:
    return np.array(values, dtype=np.int64)
