"""What attention should look at: from a hint in characters to tokens.

A small decoder needs long to find out by itself that a question's name and a value's name are to be
held against each other (tried: half an hour at the choice between two entities, by chance). The
text is generated, so it is known where one has to look, and two heads of two layers are told:

    gather    a value looks at the name that it is told of; the place where an answer begins looks
              at the name in the question
    match     the place where an answer begins looks at the value with the same name, and every
              token of the answer at what follows it there

What the heads make of that is learned from the answers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pretraining.story import Hint, Stretch
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import TokenTree, build_tree

GATHER, MATCH = 1, 2
"""The layers."""


@dataclass(frozen=True, slots=True)
class Look:
    """Each of the queries should look at the keys, whichever of them; places in a sequence."""

    layer: int
    queries: tuple[int, ...]
    keys: tuple[int, ...]


def look(hint: Hint, offsets: Sequence[Stretch], answer: Stretch) -> tuple[Look, ...]:
    """What the tokens of a sequence should look at.

    Args:
        offsets: first and last character of every token.
        answer: where the answer is given.
    """
    value, name = _covered(hint.answer, offsets), _covered(hint.name, offsets)
    saying = tuple(place - 1 for place in _covered(answer, offsets))
    looks = [Look(GATHER, saying, _covered(hint.asked, offsets))]
    if name[-1] < value[0]:  # what stands behind cannot be seen
        looks.append(Look(GATHER, value, name))
    alike = len(saying) == len(value)
    looks += [Look(MATCH, (said,), (there,)) for said, there in zip(saying, value, strict=alike)]
    return tuple(looks if alike else looks[:3])


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
            looks[Look(one.layer, *moved)] = None
    return Lookout(tree, tuple(looks))


def _covered(stretch: Stretch, offsets: Sequence[Stretch]) -> tuple[int, ...]:
    start, end = stretch
    return tuple(
        place for place, (first, last) in enumerate(offsets) if first < end and last > start
    )
