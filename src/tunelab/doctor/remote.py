"""Examines data as a model behind an endpoint will be asked about it; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.data import Example
from tunelab.doctor.findings import (
    Finding,
    examine_answers,
    examine_balance,
    examine_overlap,
    examine_repeats,
    fact,
)
from tunelab.doctor.sights import Examination, SeenToken, Sight
from tunelab.doctor.wording import examine_copies
from tunelab.prompts.conversation import said
from tunelab.prompts.wording import Wording
from tunelab.recipe import Recipe, extractive


def examine_remote(
    recipe: Recipe,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    shots: Sequence[Example],
    shown: int,
) -> Examination:
    """Look at training and test questions; `shown` test questions are laid open.

    Its tokens are not to be seen from here; a message stands for one.
    """
    wording = Wording(recipe.prompt, shots)
    findings: list[Finding] = [
        finding
        for part, examples in (("train", train), ("test", test))
        for examine in (examine_answers, examine_repeats, examine_copies)
        for finding in examine(part, examples)
    ]
    findings += examine_overlap(train, test)
    findings += examine_balance(train, test, extractive(recipe.task).version)
    findings.append(fact("prompt", f"the prompt is {wording.version}."))
    sights = tuple(_sight(example, wording) for example in test[:shown])
    return Examination(findings=tuple(findings), sights=sights)


def _sight(example: Example, wording: Wording) -> Sight:
    turns = [
        SeenToken(text=f"{message.role}: {said(message)}\n\n", target=False)
        for message in wording.messages(example)
    ]
    wanted = example.gold[0] if example.answers else wording.no_answer
    return Sight(id=example.id, tokens=(*turns, SeenToken(text=wanted, target=True)), separator="")
