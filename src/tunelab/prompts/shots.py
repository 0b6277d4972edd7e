"""Which training examples an untuned model is shown in its prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunelab.data import Example
from tunelab.errors import RecipeError
from tunelab.recipe import NoTuning, Tuning


def choose_shots(train: Sequence[Example], tuning: Tuning, *, seed: int) -> list[Example]:
    """The worked examples of an untuned model's prompt, drawn from different paragraphs.

    Raises:
        RecipeError: there are fewer training paragraphs than shots.
    """
    wanted = tuning.shots if isinstance(tuning, NoTuning) else 0
    paragraphs: dict[str, list[Example]] = {}
    for example in train:
        paragraphs.setdefault(example.group, []).append(example)
    if wanted > len(paragraphs):
        raise RecipeError(
            f"tuning.shots is {wanted}, but the training data have {len(paragraphs)} paragraphs.",
            hint="Lower tuning.shots, or raise task.train_limit.",
        )
    random = np.random.default_rng([seed, wanted])
    chosen = random.permutation(list(paragraphs))[:wanted]
    return [paragraphs[name][random.integers(len(paragraphs[name]))] for name in chosen]
