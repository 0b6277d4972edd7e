"""What a run reads, as far as memory and time go: rows that are really drawn from its data.

The order of an epoch needs no tokens. So the order is drawn as a run draws it, some of its steps
are taken, those with the longest texts among them, and only their questions are tokenised and laid
out. The step with the largest row is what memory is planned for; the mean over all that were taken
is what time is planned for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from tunelab.plan.coding import Coder, Item, ItemT, Rectangle, text_length
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Recipe
from tunelab.tokentree.tree import TokenTree
from tunelab.training.objective import Together
from tunelab.training.schedule import epoch_order, step_examples, steps_per_epoch

Pass = TokenTree | Rectangle

ANSWERED_TOKENS = 4096
"""Of a pass while answering, as in `runs`."""
_LONGEST = 2
"""Steps that are taken because their texts are long."""
_ASKED = 128
"""Test questions that are tokenised."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a run."""

    step: tuple[Pass, ...]
    """The passes of the heaviest step, the largest first; empty where nothing is trained."""
    sample: tuple[EncodedExample, ...]
    """Training examples of a decoder, for the proof that sharing changes nothing."""
    asked: Pass
    """The largest pass of the test questions."""
    branches: int
    """Answers that are written side by side there; 0 for an encoder."""
    steps: int
    """Optimiser steps of the whole run."""
    step_tokens: float
    """Tokens that a step lays out, padding and shared prefixes counted as they are; the mean."""
    read_tokens: float
    """Tokens of a step, each example counted whole; the mean."""
    asked_tokens: float
    """Tokens that are laid out for all test and validation questions together."""
    questions: int
    """That are answered, validation included."""
    notes: tuple[str, ...] = field(default=())

    @property
    def largest(self) -> int:
        """Tokens of the largest training pass."""
        return tokens(self.step[0]) if self.step else 0


def tokens(laid: Pass) -> int:
    """Positions of a pass."""
    return laid.tokens if isinstance(laid, Rectangle) else len(laid)


def draw(
    recipe: Recipe,
    coder: Coder,
    train: Sequence[Item],
    asked: Sequence[Item],
    *,
    answered: int,
    steps: int,
) -> Drawn:
    """The rows of a run.

    Args:
        recipe: resolved.
        coder: makes tokens of examples, and rows of tokens.
        train: training examples; empty where nothing is trained.
        asked: those that are answered; at least one.
        answered: how many are answered in all, validation counted as often as it is.
        steps: how many optimiser steps are looked at.
    """
    settings = recipe.training
    total = steps_per_epoch(len(train), settings.batch_size)
    chosen = chosen_steps(recipe, coder.together(settings), train, steps)
    encoded = coder.training(list(chain.from_iterable(chosen)))
    laid: list[list[Pass]] = []
    read = 0
    for members in chosen:
        own = [encoded[id(each)] for each in members if id(each) in encoded]
        if own:
            laid.append(coder.lay_out(own, tokens_per_pass=settings.tokens_per_pass))
            read += sum(coder.length(each) for each in own)
    heaviest = max(laid, key=lambda rows: [tokens(row) for row in rows], default=[])
    answers = coder.asking(asked[:_ASKED])
    rows = coder.lay_out(answers, tokens_per_pass=ANSWERED_TOKENS)
    largest = max(rows, key=tokens)
    share = answered / max(1, len(asked[:_ASKED]))
    return Drawn(
        step=tuple(heaviest),
        sample=coder.sample(list(encoded.values())),
        asked=largest,
        branches=coder.branches(largest),
        steps=total * settings.epochs,
        step_tokens=sum(tokens(row) for rows in laid for row in rows) / max(1, len(laid)),
        read_tokens=read / max(1, len(laid)),
        asked_tokens=share * sum(tokens(row) for row in rows),
        questions=answered,
        notes=coder.notes,
    )


def chosen_steps(
    recipe: Recipe, together: Together, train: Sequence[ItemT], wanted: int
) -> list[list[ItemT]]:
    """The examples of some steps of the first epoch: spread evenly over it, and the longest."""
    size = recipe.training.batch_size
    total = steps_per_epoch(len(train), size)
    groups = [each.group for each in train]
    order = epoch_order(groups, together, seed=recipe.seed, epoch=0)
    spread = (
        {round(k * (total - 1) / max(1, wanted - 1)) for k in range(wanted)} if total else set()
    )
    longest = sorted(range(len(order)), key=lambda k: text_length(train[order[k]]), reverse=True)
    numbers = sorted(spread | {place // size for place in longest[:_LONGEST]})
    return [[train[index] for index in step_examples(order, k, size)] for k in numbers]
