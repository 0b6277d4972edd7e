"""A curriculum by mastery: one fact a paragraph first, more as soon as those are read.

From-scratch retrieval does not begin with eight facts a paragraph (tried: nothing learned after
minutes). With one fact there is one thing to copy; with a few of one entity the kind of value tells
them apart; with two entities the words have to be looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pretraining.looking import Lookout, gather
from pretraining.scenes import Size, small_scene
from pretraining.sheet import MOST_QUESTIONS, encode, write_sheet
from pretraining.story import Story, tell
from tunelab.data.reading.draw import Draw

LEVELS: tuple[Size | None, ...] = (
    Size(1, 1), Size(1, 2), Size(1, 4), Size(2, 2), Size(2, 4), Size(2, 6), Size(3, 6), None,
)  # fmt: skip
"""Paragraphs of `reading`, smaller ones first; None is a whole one."""
MASTERED = 0.7
"""Share of answers that begin with the right token, at which a level is done."""
_MEMORY = 0.95
"""How slowly the running share forgets."""
_LEAST = 20
"""Steps on a level before it can be done."""
_FREE = 5
"""The level from which some stories have other words than `reading`."""


@dataclass(slots=True)
class Progress:
    """Where the curriculum stands."""

    level: int = 0
    steps: int = 0
    """On this level."""
    right: float = 0.0
    """Running share of answers that began with the right token on this level."""

    def learn(self, right: float) -> None:
        """Take in a step's share; go one level up when this one is mastered."""
        self.steps += 1
        weight = max(1.0 - _MEMORY, 1.0 / self.steps)
        self.right += weight * (right - self.right)
        if self.right >= MASTERED and self.steps >= _LEAST and self.level + 1 < len(LEVELS):
            self.level, self.steps, self.right = self.level + 1, 0, 0.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """The trees of a step, those of the present level apart."""

    present: list[Lookout]
    others: list[Lookout]

    def share(self, rank: int, processes: int) -> Lesson:
        """What one of several processes does: every so-manieth tree, by size."""

        def mine(trees: list[Lookout]) -> list[Lookout]:
            return sorted(trees, key=len)[rank::processes]

        return Lesson(mine(self.present), mine(self.others))


def lesson(seed: str, *, level: int, tokens: int, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """The trees of a step, about `tokens` tokens: most of this level, some of other kinds."""
    draw = Draw(seed)
    present: list[Lookout] = []
    others: list[Lookout] = []
    left = tokens
    while left > 0:
        choice = draw.below(20)
        if choice < 4 and level > 0:
            others.append(tree := story_tree(draw, level=draw.below(level), tokenizer=tokenizer))
        elif choice < 8 and level >= _FREE:
            others.append(tree := _free(draw, level=level, tokenizer=tokenizer))
        else:
            present.append(tree := story_tree(draw, level=level, tokenizer=tokenizer))
        left -= len(tree)
    return Lesson(present, others)


def story_tree(draw: Draw, *, level: int, tokenizer: PreTrainedTokenizerBase) -> Lookout:
    """A story of a level with its questions."""
    return _tree(draw, small_scene(draw, LEVELS[level], most=MOST_QUESTIONS), tokenizer)


def _free(draw: Draw, *, level: int, tokenizer: PreTrainedTokenizerBase) -> Lookout:
    """A story of other things, names and wordings."""
    facts = 1 + draw.below(level)
    story = tell(draw, facts=facts, coined=0.3, untold=0.1 if facts >= 4 else 0.0)
    return _tree(draw, story, tokenizer)


def _tree(draw: Draw, story: Story, tokenizer: PreTrainedTokenizerBase) -> Lookout:
    return gather(encode(write_sheet(draw, story), tokenizer))
