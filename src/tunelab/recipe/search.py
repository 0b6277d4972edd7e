"""The trials that choose settings: which are tried, on how many questions, and which go on.

Every method gets the same number of trials on the same questions; they are measured on validation
alone. All of it is a function of values; nothing is run here.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunelab.errors import RecipeError
from tunelab.recipe.grid import digest, merge, setting, tree_of, tuning_label, with_settings
from tunelab.recipe.reading import validate
from tunelab.recipe.schema import NoTuning, Recipe, Search

Chosen = dict[str, Any]
"""Dotted path -> value."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A round of trials."""

    candidates: int
    train_limit: int | None
    """Training questions of each; None for all."""


def is_searched(run: Recipe) -> bool:
    """Whether trials choose settings of a run.

    What trains nothing has no use for settings of the training.
    """
    if run.search is None:
        return False
    return not isinstance(run.tuning, NoTuning) or any(
        not path.startswith("training.") for path in run.search.over
    )


def candidates(search: Search) -> list[Chosen]:
    """The settings that are tried.

    If the product of the lists is larger than `trials`, members are taken at even distances, the
    first and the last included.
    """
    product = list(itertools.product(*search.over.values()))
    count = min(search.trials, len(product))
    even = [product[round(i * (len(product) - 1) / max(count - 1, 1))] for i in range(count)]
    return [dict(zip(search.over, values, strict=True)) for values in even]


def rungs(search: Search) -> list[Rung]:
    """One rung, or those of successive halving: n trials on r / h^k questions, ..., n / h^k on r.

    As many rungs as leave at least two trials in the last one, so that it still decides.
    """
    count = len(candidates(search))
    if search.halving is None or search.train_limit is None:
        return [Rung(count, search.train_limit)]
    sizes = [count]
    while sizes[-1] // search.halving >= 2:
        sizes.append(sizes[-1] // search.halving)
    last = len(sizes) - 1
    return [
        Rung(size, max(1, search.train_limit // search.halving ** (last - number)))
        for number, size in enumerate(sizes)
    ]


def trial(run: Recipe, settings: Chosen, rung: Rung) -> Recipe:
    """The run that tries settings for `run`: on validation, and always with seed 0, so that the
    seeds of a method share their trials."""
    assert run.search is not None
    bare = {"split": "validation", "ablations": (), "contamination": False, "quantize": ()}
    tried = merge(
        tree_of(with_settings(run, settings)),
        {"track": (), "also_evaluate": (), "evaluation": bare},
    )
    if "seed" not in settings:
        tried["seed"] = 0
    if rung.train_limit is not None:
        tried = merge(tried, {"task": {"train_limit": rung.train_limit}})
    if run.search.epochs is not None:
        tried = merge(tried, {"training": {"epochs": run.search.epochs}})
    return validate(tried, source="a trial of the search")


def trials(run: Recipe) -> list[Recipe]:
    """The trials that choose the settings of `run`, those of the first rung where there are more;
    empty without a search."""
    if run.search is None or not is_searched(run):
        return []
    first, *_ = rungs(run.search)
    return [trial(run, settings, first) for settings in candidates(run.search)]


def check_search(runs: Sequence[Recipe]) -> None:
    """Refuse a search that contradicts itself, or that is not fair to all methods.

    Raises:
        RecipeError: with what to set.
    """
    budgets: dict[str, set[_Budget]] = defaultdict(set)
    settled: dict[str, Recipe] = {}
    for run in runs:
        search = run.search
        if search is None or not is_searched(run):
            continue
        fixed = {"task.train_limit": search.train_limit, "training.epochs": search.epochs}
        for path, value in fixed.items():
            if path in search.over and value is not None:
                raise RecipeError(
                    f"search.over lists {path}, but search.{path.rpartition('.')[2]}={value} fixes "
                    "it for every trial.",
                    hint="Drop one of the two.",
                )
        if search.halving is not None and search.train_limit is None:
            raise RecipeError(
                "search.halving needs search.train_limit, the questions of the last rung.",
                hint="Set search.train_limit, such as 800.",
            )
        same = settled.setdefault(digest(with_settings(run, candidates(search)[0])), run)
        _refuse_one_under_two_labels(run, same)
        tried = trials(run)
        budgets[tuning_label(run.tuning)] |= {
            _Budget(len(tried), trial.task.train_limit, trial.training.epochs) for trial in tried
        }
    _refuse_unfair(budgets)


def _refuse_one_under_two_labels(run: Recipe, same: Recipe) -> None:
    """Refuse two runs that the search makes one of, whatever their labels say."""
    if run is same:
        return
    assert run.search is not None
    paths = [path for path in run.search.over if setting(run, path) != setting(same, path)]
    raise RecipeError(
        f"Rows of the grid differ in nothing but {' and '.join(paths)}, which search.over chooses: "
        "they would be one run under several labels.",
        hint="List it in the grid, or in search.over, and not in both.",
    )


@dataclass(frozen=True, slots=True)
class _Budget:
    """What a method's search may take."""

    trials: int
    limit: int | None
    epochs: int

    def __str__(self) -> str:
        questions = "all" if self.limit is None else self.limit
        return f"{self.trials} trials of {questions} questions and {self.epochs} epochs"


def _refuse_unfair(budgets: dict[str, set[_Budget]]) -> None:
    if len({frozenset(budget) for budget in budgets.values()}) > 1:
        told = "; ".join(
            f"{label}: {' and '.join(sorted(map(str, budget)))}"
            for label, budget in budgets.items()
        )
        raise RecipeError(
            f"The search would not be fair. {told}.",
            hint="Give every case as many values, and set search.epochs and search.train_limit, "
            "which hold for every method.",
        )
