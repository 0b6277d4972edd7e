"""Examines a recipe's data as its model will see it, without training."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example, load_sources, split_validation, take_limit
from tunelab.doctor.findings import (
    Finding,
    examine_answers,
    examine_balance,
    examine_choice,
    examine_overlap,
    examine_repeats,
    examine_windows,
)
from tunelab.doctor.sights import Examination, SeenToken, Sight
from tunelab.models.encoder import load_tokenizer
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import Model, Recipe, Task


def examine(recipe: Recipe, *, shown: int = 2) -> Examination:
    """Look at the data of a resolved recipe; `shown` training questions are laid open.

    Unlike a run it does not stop at the first thing that is wrong: it lists them all.
    """
    train, test, note = load_parts(recipe.task)
    tokenizer = load_tokenizer(recipe.model)
    findings = [Finding(name="split", severity="fact", found=note)]
    for part, examples in (("train", train), ("test", test)):
        windows = encode_windows(examples, tokenizer, recipe.model)
        findings += examine_answers(part, examples)
        findings += examine_windows(part, examples, windows, recipe.model.max_length)
        findings += examine_repeats(part, examples)
    findings += examine_choice(recipe.task)
    findings += examine_overlap(train, test)
    findings += examine_balance(train, test, recipe.task.version)
    return Examination(
        findings=tuple(findings),
        sights=tuple(_sights(train[:shown], tokenizer, recipe.model)),
    )


def load_parts(task: Task) -> tuple[list[Example], list[Example], str]:
    """Training and test questions as a run takes them, but with their mistakes left in."""
    split = split_validation(
        load_sources(task.train, part="train", version=task.version), task.validation
    )
    test = load_sources(task.test, part="test", version=task.version)
    return take_limit(split.train, task.train_limit), take_limit(test, task.test_limit), split.note


def _sights(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, settings: Model
) -> list[Sight]:
    windows = encode_windows(examples, tokenizer, settings)
    return [_sight(examples[window.example], window, tokenizer) for window in windows]


def _sight(example: Example, window: Window, tokenizer: PreTrainedTokenizerBase) -> Sight:
    first, last = window.target
    tokens = tokenizer.convert_ids_to_tokens(window.input_ids)
    return Sight(
        id=example.id,
        tokens=tuple(
            SeenToken(text=str(token), target=first <= position <= last)
            for position, token in enumerate(tokens)
        ),
        separator=" ",
    )
