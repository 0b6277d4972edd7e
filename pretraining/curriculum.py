"""A curriculum by mastery: one fact a paragraph first, more as soon as those are read.

From-scratch retrieval does not begin with eight facts a paragraph (tried: nothing learned after
minutes); with one fact there is one thing to copy, with two a choice, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pretraining.sheet import echo, encode, list_sheet, story_sheet
from pretraining.vocabulary import SPECIAL
from tunelab.data.reading.draw import Draw
from tunelab.tokentree import TokenTree, build_tree

FACTS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Facts a paragraph, level by level."""
MASTERED = 0.82
"""Share of answer tokens that are right, at which a level is done."""
_MEMORY = 0.95
"""How slowly the running share forgets."""
_LEAST = 40
"""Steps on a level before it can be done."""


@dataclass(slots=True)
class Progress:
    """Where the curriculum stands."""

    level: int = 0
    steps: int = 0
    """On this level."""
    right: float = 0.0
    """Running share of answer tokens that were right on this level."""

    def learn(self, right: float) -> None:
        """Take in a step's share; go one level up when this one is mastered."""
        self.steps += 1
        weight = max(1.0 - _MEMORY, 1.0 / self.steps)
        self.right += weight * (right - self.right)
        if self.right >= MASTERED and self.steps >= _LEAST and self.level + 1 < len(FACTS):
            self.level, self.steps, self.right = self.level + 1, 0, 0.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """The trees of a step, those of the present level apart."""

    present: list[TokenTree]
    others: list[TokenTree]


def lesson(seed: str, *, level: int, tokens: int, tokenizer: PreTrainedTokenizerBase) -> Lesson:
    """The trees of a step, about `tokens` tokens of them: most of this level, some easier."""
    draw = Draw(seed)
    present: list[TokenTree] = []
    others: list[TokenTree] = []
    left = tokens
    while left > 0:
        choice = draw.below(20)
        if choice < 14:
            tree = story_tree(draw, level=level, tokenizer=tokenizer)
            present.append(tree)
        else:
            tree = _other(choice, draw, level=level, tokenizer=tokenizer)
            others.append(tree)
        left -= len(tree)
    return Lesson(present, others)


def story_tree(draw: Draw, *, level: int, tokenizer: PreTrainedTokenizerBase) -> TokenTree:
    """A story of a level with its questions."""
    facts = FACTS[level]
    sheet = story_sheet(
        draw, facts=facts, coined=min(0.1 + 0.05 * level, 0.4), untold=0.1 if facts >= 4 else 0.0
    )
    return build_tree(encode(sheet, tokenizer))


def _other(choice: int, draw: Draw, *, level: int, tokenizer: PreTrainedTokenizerBase) -> TokenTree:
    if choice < 16 and level > 0:
        return story_tree(draw, level=draw.below(level), tokenizer=tokenizer)
    if choice < 18:
        sheet = list_sheet(draw, facts=2 + draw.below(2 * level + 3), coined=0.3)
        return build_tree(encode(sheet, tokenizer))
    ids = range(len(SPECIAL), len(tokenizer))
    bos = tokenizer.bos_token_id
    assert isinstance(bos, int)
    return build_tree([echo(draw, length=8 + draw.below(17), ids=ids, bos=bos)])
