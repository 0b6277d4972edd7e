"""Does a model read? The same test again, with the context taken away or exchanged. No torch.

    question-only       the context is empty: what remains was known beforehand, or guessed
    shuffled-context    each paragraph's questions stand behind the text of another paragraph

An extractive encoder has nothing to point at in an empty context, so question-only says of it just
how often it is right to abstain. Of a decoder it says what it knows by heart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, assert_never

from tunelab.data import Example
from tunelab.errors import DataError
from tunelab.evaluation.measure import task_scores
from tunelab.recipe import Task
from tunelab.records import Prediction, Scores

Ablation = Literal["question-only", "shuffled-context"]


def ablate(examples: Sequence[Example], ablation: Ablation, *, seed: int) -> list[Example]:
    """The examples with other contexts, in their order; their answers stand nowhere any more.

    Raises:
        DataError: there is one paragraph alone, so that there is no other to exchange it with.
    """
    match ablation:
        case "question-only":
            return [replace(example, context="", answers=()) for example in examples]
        case "shuffled-context":
            contexts = {example.group: example.context for example in examples}
            other = derangement(sorted(contexts), seed=seed)
            return [
                replace(example, context=contexts[other[example.group]], answers=())
                for example in examples
            ]
        case _:
            assert_never(ablation)


def derangement(names: Sequence[str], *, seed: int) -> dict[str, str]:
    """Each name with another one, all of them in one circle (Sattolo 1986,
    doi:10.1016/0020-0190(86)90073-6), so that none is left in its place.

    Raises:
        DataError: there is one name alone.
    """
    if len(names) < 2:
        raise DataError(
            "evaluation.ablations asks for shuffled contexts, but the test questions have one "
            "paragraph in all.",
            hint="Raise task.test_limit, or leave shuffled-context out.",
        )
    drawn, shuffled = random.Random(seed), list(names)
    for index in range(len(shuffled) - 1, 0, -1):
        other = drawn.randrange(index)  # never itself
        shuffled[index], shuffled[other] = shuffled[other], shuffled[index]
    return dict(zip(names, shuffled, strict=True))


def with_gold(predictions: Sequence[Prediction], examples: Sequence[Example]) -> list[Prediction]:
    """Predictions on ablated examples with the gold answers of the examples as they were."""
    return [
        row.model_copy(update={"gold": example.gold})
        for row, example in zip(predictions, examples, strict=True)
    ]


def ablated_scores(task: Task, ablation: Ablation, predictions: Sequence[Prediction]) -> Scores:
    """The scores under an ablation, for scores.json: under the task's name and its own."""
    return {
        f"{name}/{ablation}": figures for name, figures in task_scores(task, predictions).items()
    }
