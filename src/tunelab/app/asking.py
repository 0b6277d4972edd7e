"""A question put to one run or to several side by side, with what each of them answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, assert_never

from tunelab.answering import Answered
from tunelab.app.catalogue import Catalogue
from tunelab.app.shelf import Shelf
from tunelab.data import Example
from tunelab.data.example import text_hash
from tunelab.errors import DataError, TunelabError, UsageError
from tunelab.recipe import Evaluation, Recipe, extractive
from tunelab.runs.family import check_decoding

Way = Literal["as the run does", "free", "words of the paragraph", "valid JSON"]
"""How a decoder's answer is decoded; an encoder points at a passage whatever is chosen."""

LONGEST_TEXT = 200_000
"""Characters of a paragraph or a question; a book is no paragraph."""
MOST_AT_ONCE = 8
"""Runs side by side."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a question put to one run."""

    name: str
    found: Answered | None
    problem: TunelabError | None
    """Why there is no answer."""
    writes: bool
    """Whether it is a decoder."""
    seconds: float


def own_example(paragraph: str, question: str) -> Example:
    """A visitor's paragraph and question.

    Raises:
        DataError: one of them is empty or far too long.
    """
    for name, text in (("paragraph", paragraph), ("question", question)):
        if not text.strip():
            raise DataError(
                f"The {name} is empty.", hint="Write a paragraph and a question about it."
            )
        if len(text) > LONGEST_TEXT:
            raise DataError(
                f"The {name} has {len(text):,} characters; {LONGEST_TEXT:,} are read at most.",
                hint="Take the part of it that the question is about.",
            )
    group = text_hash(paragraph)
    return Example(
        id=text_hash(f"{group} {question}"),
        question=question,
        context=paragraph,
        answers=(),
        group=group,
        article="Asked in the app",
    )


def settings_for(recipe: Recipe, way: Way) -> Evaluation:
    """How the run's answers are decoded in another way than its own.

    Raises:
        RecipeError: the way does not go with the run's prompt.
    """
    free = {"constrain": "none", "force_start": False, "reasoning_limit": 0}
    match way:
        case "as the run does":
            return recipe.evaluation
        case "free":
            changes = free
        case "words of the paragraph":
            changes = free | {"constrain": "span"}
        case "valid JSON":
            changes = free | {"constrain": "json"}
        case _:
            assert_never(way)
    settings = recipe.evaluation.model_copy(update=changes)
    check_decoding(recipe.model_copy(update={"evaluation": settings}))
    return settings


def ask(
    catalogue: Catalogue, shelf: Shelf, names: Sequence[str], example: Example, way: Way
) -> list[Told]:
    """Ask runs side by side; one that cannot answer says why, and spoils nothing else.

    Raises:
        UsageError: no run was chosen, or too many.
    """
    if not names:
        raise UsageError("No run is chosen.", hint="Choose one, or several to compare them.")
    if len(names) > MOST_AT_ONCE:
        raise UsageError(
            f"{len(names)} runs are chosen; {MOST_AT_ONCE} fit side by side.",
            hint="Choose fewer. `tunelab evaluate` scores any number.",
        )
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: _ask(catalogue, shelf, name, example, way), names))


def ask_all(
    catalogue: Catalogue, shelf: Shelf, name: str, examples: Sequence[Example]
) -> list[Answered]:
    """Many questions put to one run, in its own way.

    Raises:
        TunelabError: it cannot be loaded, or a question cannot be asked.
    """
    _refuse_other_tasks(catalogue, name)
    with shelf.borrow(name) as answerer:
        return answerer.answer(examples)


def _ask(catalogue: Catalogue, shelf: Shelf, name: str, example: Example, way: Way) -> Told:
    writes, started = False, time.perf_counter()
    try:
        _refuse_other_tasks(catalogue, name)
        with shelf.borrow(name) as answerer:
            writes, started = answerer.writes, time.perf_counter()  # loading is not answering
            settings = settings_for(answerer.recipe, way) if writes else None
            [found] = answerer.answer([example], settings=settings)
    except TunelabError as problem:
        return Told(name, None, problem, writes, time.perf_counter() - started)
    return Told(name, found, None, writes, time.perf_counter() - started)


def _refuse_other_tasks(catalogue: Catalogue, name: str) -> None:
    """A run that was tuned to choose among given answers reads none off a paragraph."""
    extractive(catalogue.entry(name).recipe.task)
