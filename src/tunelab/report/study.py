"""Reads an output directory: methods, their runs, and every item's score. Files alone; no model.

A method is all runs of one label: they differ in their seed alone. Runs that the recipe asks for
and that are not there are part of the study too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunelab.errors import RecordError, TunelabError
from tunelab.evaluation.scores import score_predictions
from tunelab.metrics.squad import Floats, Mask, SquadVersion
from tunelab.recipe import Recipe, digest, expand, labels, read_recipe, with_settings
from tunelab.records import Manifest, Prediction, RunDirectory, find_runs


@dataclass(frozen=True, slots=True)
class Items:
    """The questions that a run was scored on, in the order of their ids."""

    version: SquadVersion
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    articles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run as its files tell it; `scores` is empty unless it finished."""

    directory: RunDirectory
    recipe: Recipe
    manifest: Manifest
    items: Items | None
    scores: dict[str, tuple[Mask, Floats]]
    """Official name -> the items it is about (N,), and every item's score in percent (N,)."""


@dataclass(frozen=True, slots=True)
class Method:
    """All runs of one label."""

    label: str
    runs: tuple[Run, ...]
    missing_seeds: tuple[int, ...]
    """Asked for by the recipe, and not there."""

    @property
    def finished(self) -> tuple[Run, ...]:
        """The runs that count."""
        return tuple(run for run in self.runs if run.manifest.status == "ok")

    @property
    def items(self) -> Items | None:
        """What its finished runs were scored on."""
        return self.finished[0].items if self.finished else None

    def scores(self, metric: str) -> tuple[Mask, Floats]:
        """The items that a metric is about (N,), and the scores of all seeds (S, N) in percent."""
        parts = [run.scores[metric] for run in self.finished]
        return parts[0][0], np.stack([scores for _, scores in parts])


@dataclass(frozen=True, slots=True)
class Study:
    """An output directory."""

    directory: Path
    name: str
    methods: tuple[Method, ...]
    left_out: int
    """Runs in the directory that its recipe does not ask for."""


def read_study(directory: Path) -> Study:
    """Read an output directory, or a single run directory.

    Raises:
        UsageError: there is nothing in it.
        RecordError: a file is damaged or of another version.
    """
    found = [read_run(place) for place in find_runs(directory)]
    if not (directory / "runs").is_dir():
        return Study(directory, found[0].recipe.name, _by_label(found, {}), 0)
    recipe = read_recipe(directory / "recipe.yaml")
    asked = expand(recipe)
    names = labels(asked)
    wanted = {(label, run.seed): run for label, run in zip(names, asked, strict=True)}
    kept = [run for run in found if _is_asked_for(run, wanted)]
    present = {(run.manifest.label, run.recipe.seed) for run in kept}
    missing: dict[str, list[int]] = {label: [] for label in names}
    for label, seed in wanted:
        if (label, seed) not in present:
            missing[label].append(seed)
    return Study(directory, recipe.name, _by_label(kept, missing), len(found) - len(kept))


def read_run(place: RunDirectory) -> Run:
    """Read one run; predictions are scored anew, so that every figure has one source."""
    recipe, manifest = read_recipe(place.recipe), place.read_manifest()
    if manifest.status != "ok":
        return Run(place, recipe, manifest, None, {})
    rows = sorted(place.read_predictions(), key=lambda row: row.id)
    return Run(
        place,
        recipe,
        manifest,
        _items(rows, recipe.task.version),
        _scores(rows, recipe.task.version),
    )


def _items(rows: Sequence[Prediction], version: SquadVersion) -> Items:
    return Items(
        version,
        tuple(row.id for row in rows),
        tuple(row.group for row in rows),
        tuple(row.article for row in rows),
    )


def _scores(rows: Sequence[Prediction], version: SquadVersion) -> dict[str, tuple[Mask, Floats]]:
    parts = score_predictions(rows, version=version).parts()
    return {name: (about, 100 * scores) for name, (about, scores) in parts.items()}


def _is_asked_for(run: Run, wanted: dict[tuple[str, int], Recipe]) -> bool:
    """Whether a run is one of the recipe's, with the settings that its search chose."""
    asked = wanted.get((run.manifest.label, run.recipe.seed))
    if asked is None:
        return False
    try:
        return digest(with_settings(asked, run.manifest.search or {})) == run.manifest.digest
    except TunelabError:
        return False  # searched for what the recipe no longer knows


def _by_label(runs: Sequence[Run], missing: dict[str, list[int]]) -> tuple[Method, ...]:
    """Methods in the order of the recipe."""
    _refuse_mixed_items(runs)
    names = list(dict.fromkeys([*missing, *(run.manifest.label for run in runs)]))
    return tuple(
        Method(
            name,
            tuple(
                sorted(
                    (run for run in runs if run.manifest.label == name),
                    key=lambda run: run.recipe.seed,
                )
            ),
            tuple(missing.get(name, ())),
        )
        for name in names
    )


def _refuse_mixed_items(runs: Sequence[Run]) -> None:
    """The seeds of one method are averaged item by item: they need the same items."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.items is None:
            continue
        other = first.setdefault(run.manifest.label, run)
        assert other.items is not None
        if other.items != run.items:
            raise RecordError(
                f"{other.directory.path.name} has {len(other.items.ids)} items and "
                f"{run.directory.path.name} has {len(run.items.ids)}, not the same ones.",
                hint="A predictions.jsonl was damaged, or the test data changed between the runs. "
                "Move the run directory away that is wrong and run again.",
            )
