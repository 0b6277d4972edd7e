"""Which questions are trained on, chosen on, and tested on: pure functions of the examples.

Questions on one paragraph share its text, and paragraphs of one article share its subject; so
validation takes whole articles where it can, and a limit takes whole paragraphs. Choices hang on
hashes of the text, never on the order of a file or on a seed: every method and every seed sees the
same questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunelab.data.example import Example, ItemT, text_hash
from tunelab.errors import DataError


@dataclass(frozen=True, slots=True)
class ValidationSplit:
    """Training questions in two parts, and a sentence about how they were parted."""

    train: list[Example]
    validation: list[Example]
    note: str


def take_limit(examples: Sequence[ItemT], limit: int | None) -> list[ItemT]:
    """Whole groups in the order of a hash of their names until `limit` questions are reached.

    A group is a paragraph, named by its text. The last one is cut. A smaller limit takes a prefix
    of what a larger one takes. Without a limit, or with one that is larger than the data, all
    questions come in this order.
    """
    ordered = [
        example for _, members in _by_hash(examples, lambda e: e.group) for example in members
    ]
    return ordered if limit is None else ordered[:limit]


def split_validation(examples: Sequence[Example], share: float) -> ValidationSplit:
    """Hold out about `share` of the questions as whole articles, else as whole paragraphs.

    The articles whose questions together come closest to the share are held out; if none come
    within a factor of 2 of it (the data are one article, say), whole paragraphs are.
    """
    if share == 0:
        return ValidationSplit(list(examples), [], "no validation: nothing is chosen")
    wanted = max(1, round(share * len(examples)))
    for unit, key in (("articles", _article), ("paragraphs", _group)):
        groups = _by_hash(examples, key)
        chosen = _closest_sum([len(members) for _, members in groups], wanted)
        held = {groups[index][0] for index in chosen}
        count = sum(len(groups[index][1]) for index in chosen)
        if wanted / 2 <= count <= wanted * 2 and len(held) < len(groups):
            return ValidationSplit(
                [e for e in examples if key(e) not in held],
                [e for e in examples if key(e) in held],
                f"validation: {count} of {len(examples)} training questions, "
                f"{len(held)} whole {unit} of {len(groups)}",
            )
    raise DataError(
        f"validation: {share:g} of {len(examples)} questions cannot be held out: "
        "no set of whole paragraphs comes near it.",
        hint="Use more training data, another share, or task.validation=0.",
    )


def hold_out(examples: Sequence[ItemT], share: float) -> tuple[list[ItemT], list[ItemT]]:
    """Training questions, and about `share` of them, whole groups, held out for every choice."""
    groups: dict[str, list[ItemT]] = defaultdict(list)
    for example in examples:
        groups[example.group].append(example)
    train: list[ItemT] = []
    held: list[ItemT] = []
    for name in sorted(groups, key=lambda name: text_hash(f"validation/{name}")):
        (held if len(held) < round(share * len(examples)) else train).extend(groups[name])
    return train, held


def shared_paragraphs(train: Sequence[Example], test: Sequence[Example]) -> set[str]:
    """Groups of test paragraphs whose text, case and spacing aside, is also trained on."""
    trained = {_normal(example.context) for example in train}
    return {example.group for example in test if _normal(example.context) in trained}


def _article(example: Example) -> str:
    return example.article


def _group(example: Example) -> str:
    return example.group


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _by_hash(
    examples: Sequence[ItemT], key: Callable[[ItemT], str]
) -> list[tuple[str, list[ItemT]]]:
    """Groups of examples in the order of a hash of their key."""
    groups: dict[str, list[ItemT]] = defaultdict(list)
    for example in examples:
        groups[key(example)].append(example)
    return sorted(groups.items(), key=lambda item: text_hash(item[0]))


def _closest_sum(sizes: Sequence[int], wanted: int) -> list[int]:
    """Indices of `sizes` whose sum is closest to `wanted`; earlier ones are preferred.

    Subset sum over the sums up to twice `wanted` (beyond that no set is accepted): for each
    reachable sum, the last index that first reached it.
    """
    reached: dict[int, tuple[int, int]] = {0: (-1, 0)}  # sum -> (index added last, sum before)
    for index, size in enumerate(sizes):
        for total in sorted(reached, reverse=True):
            larger = total + size
            if larger <= 2 * wanted and larger not in reached:
                reached[larger] = (index, total)
        if wanted in reached:
            break
    total = min((s for s in reached if s > 0), key=lambda s: (abs(s - wanted), s), default=0)
    chosen: list[int] = []
    while total > 0:
        index, total = reached[total]
        chosen.append(index)
    return chosen
