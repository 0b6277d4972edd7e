"""What attention should look at: from a hint in characters to tokens.

A small decoder needs long to find out by itself that a question's name and a value's name are to be
held against each other (tried: half an hour at the choice between two entities, by chance). The
text is generated, so it is known where one has to look, and two heads each are told:

    gather    a value looks at the name that it is told of; the place where an answer begins looks
              at the name in the question, or at the value that describes what is asked about
    find      the place where an answer begins looks at the same value in the paragraph, which
              has gathered its name
    match     the place where an answer begins looks at the value with the same name, if the
              question gives one, and every token of the answer at what follows it there
    follow    the same two layers later, behind a name in the question or one that was found

What the heads make of that is learned from the answers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pretraining.story import Hint, Stretch
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import TokenTree, build_tree

HEADS = 2
"""So many are told the same."""


class Station(Enum):
    """A layer, and the first of its heads that are told where to look."""

    GATHER = (1, 0)
    MATCH = (2, 0)
    FIND = (2, 2)
    FOLLOW = (4, 0)

    @property
    def layer(self) -> int:
        """Counted from 0."""
        return self.value[0]

    @property
    def heads(self) -> slice:
        """Those of the layer that are told."""
        return slice(self.value[1], self.value[1] + HEADS)


@dataclass(frozen=True, slots=True)
class Look:
    """Each of the queries should look at the keys, whichever of them; places in a sequence."""

    station: Station
    queries: tuple[int, ...]
    keys: tuple[int, ...]


def look(hint: Hint, offsets: Sequence[Stretch], answer: Stretch) -> tuple[Look, ...]:
    """What the tokens of a sequence should look at.

    Args:
        offsets: first and last character of every token.
        answer: where the answer is given.
    """
    value = _covered(hint.answer, offsets)
    saying = tuple(place - 1 for place in _covered(answer, offsets))
    looks = [Look(Station.GATHER, saying, _covered(hint.asked, offsets))]
    for told, name in hint.names:
        here, there = _covered(told, offsets), _covered(name, offsets)
        if there[-1] < here[0]:  # what stands behind cannot be seen
            looks.append(Look(Station.GATHER, here, there))
    if hint.found is not None:
        looks.append(Look(Station.FIND, saying[:1], _covered(hint.found, offsets)))
    alike = len(saying) == len(value)  # else only where the answer begins is known
    for index, pair in enumerate(
        zip(saying, value, strict=False) if alike else [(saying[0], value[0])]
    ):
        said, there = (pair[0],), (pair[1],)
        if hint.found is None or index > 0:
            looks.append(Look(Station.MATCH, said, there))
        looks.append(Look(Station.FOLLOW, said, there))
    return tuple(looks)


@dataclass(frozen=True, slots=True)
class Lookout:
    """A token tree and what its tokens should look at, as places in the tree."""

    tree: TokenTree
    looks: tuple[Look, ...]

    def __len__(self) -> int:
        return len(self.tree)


def gather(encoded: Sequence[tuple[EncodedExample, tuple[Look, ...]]]) -> Lookout:
    """The tree of some sequences; what they have in common is looked at once."""
    tree = build_tree([example for example, _ in encoded])
    looks: dict[Look, None] = {}
    for leaf, (_, some) in zip(tree.leaves.tolist(), encoded, strict=True):
        path = tree.path(leaf).tolist()
        for one in some:
            moved = (tuple(path[place] for place in places) for places in (one.queries, one.keys))
            looks[Look(one.station, *moved)] = None
    return Lookout(tree, tuple(looks))


def _covered(stretch: Stretch, offsets: Sequence[Stretch]) -> tuple[int, ...]:
    start, end = stretch
    return tuple(
        place for place, (first, last) in enumerate(offsets) if first < end and last > start
    )
