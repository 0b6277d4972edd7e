"""What a GPTQ base is calibrated on where the recipe names no text: the task's own training data.

One question a paragraph, asked and answered as in training, in the order of a hash of the
paragraphs: no seed and no method changes it, so that all runs of a grid share one base.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.models.quantise_gptq import Calibration
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Recipe


def task_calibration(
    recipe: Recipe, train: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> Calibration:
    """Prompt and answer of the first paragraphs' first questions."""
    firsts: dict[str, Example] = {}
    for example in sorted(train, key=lambda each: each.id):
        firsts.setdefault(example.group, example)
    chosen = sorted(firsts.values(), key=lambda each: _hash(each.context))
    prompter = Prompter(tokenizer, recipe.prompt.model_copy(update={"reasoning_tokens": 0}))
    found = prompter.encode_all(
        chosen[: recipe.model.calibration_samples], max_length=recipe.model.max_length
    )
    return Calibration(tuple(each.ids for each in found.encoded), "training questions")


def random_calibration(tokenizer: PreTrainedTokenizerBase) -> Calibration:
    """Tokens drawn at random: enough to try what runs, useless to measure what is lost."""
    draw = random.Random(0)
    rows = (tuple(draw.choices(range(len(tokenizer)), k=64)) for _ in range(16))
    return Calibration(tuple(rows), "random tokens")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
