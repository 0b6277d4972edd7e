"""Examines data as an encoder will read and learn it, without training."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.doctor.findings import (
    Finding,
    examine_answers,
    examine_balance,
    examine_choice,
    examine_overlap,
    examine_repeats,
    examine_windows,
)
from tunelab.doctor.sights import Examination, Lengths, SeenToken, Sight
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import Model, Recipe, extractive


def examine_encoder(
    recipe: Recipe,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    tokenizer: PreTrainedTokenizerBase,
    shown: int,
) -> Examination:
    """Look at training and test questions; `shown` training questions are laid open."""
    findings: list[Finding] = []
    lengths: list[Lengths] = []
    for part, examples in (("train", train), ("test", test)):
        windows = encode_windows(examples, tokenizer, recipe.model)
        lengths.append(Lengths.of(part, [len(window.input_ids) for window in windows]))
        findings += examine_answers(part, examples)
        findings += examine_windows(part, examples, windows, recipe.model.max_length)
        findings += examine_repeats(part, examples)
    findings += examine_choice(recipe.task)
    findings += examine_overlap(train, test)
    findings += examine_balance(train, test, extractive(recipe.task).version)
    return Examination(
        findings=tuple(findings),
        sights=tuple(_sights(train[:shown], tokenizer, recipe.model)),
        lengths=tuple(lengths),
    )


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
