"""Reads an output directory: methods, their runs, and every item's score. Files alone; no model.

A method is all runs of one label: they differ in their seed alone. Runs that the recipe asks for
and that are not there are part of the study too, and so are runs whose files are damaged.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from tunelab.errors import RecordError
from tunelab.evaluation.ablations import Ablation
from tunelab.evaluation.beside import answering_curve, literal_score
from tunelab.evaluation.measure import measure
from tunelab.evaluation.metric import Measured
from tunelab.metrics import LiteralScore, RiskCoverage
from tunelab.metrics.squad import Floats, Mask
from tunelab.recipe import (
    Recipe,
    SquadTask,
    digest,
    expand,
    labels,
    read_written,
    setting,
    with_settings,
)
from tunelab.records import (
    Forecast,
    Manifest,
    OrderShard,
    Prediction,
    RunDirectory,
    Status,
    find_runs,
)
from tunelab.records.looks import Looks, read_looks

_ROUNDING = 1e-9

_RUNS_A_PROCESS = 8
"""So many are worth a process of their own."""

_DIRECTORY = re.compile(r"(?P<label>.+)-seed(?P<seed>\d+)-(?P<digest>[0-9a-f]{8})")
"""What a damaged run's name tells of it."""


@dataclass(frozen=True, slots=True)
class Items:
    """The questions that a run was scored on, in the order of their ids."""

    task: str
    """Whose metrics: its name in scores.json."""
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    articles: tuple[str, ...]
    gold: tuple[tuple[str, ...], ...]

    def against(self, other: Items) -> str:
        """How the two differ, with counts."""
        shared = len(set(self.ids) & set(other.ids))
        return (
            f"{len(self.ids):,} items of {self.task} against {len(other.ids):,} of {other.task}, "
            f"{shared:,} ids in common"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run as its files tell it."""

    directory: RunDirectory
    recipe: Recipe
    manifest: Manifest
    items: Items | None
    measured: Measured | None
    """Its metrics, item by item, in the order of `items`; None unless it finished."""
    literal: LiteralScore | None = None
    curve: RiskCoverage | None = None
    """Risk against coverage; of version 2.0 alone, where an answer may be withheld."""
    answers: tuple[str, ...] = ()
    """(N,) Final answers: text that a model wrote."""
    ablated: dict[Ablation, Measured] = field(default_factory=dict)
    """The metrics on the same items with other contexts, where the recipe asks for them."""
    order: tuple[OrderShard, ...] | None = None
    """How likely the test questions are in several orders, where the recipe asks for it."""
    planned: Forecast | None = None
    """What it was predicted to need."""
    damage: str = ""
    """Why its files cannot be used, where they cannot."""

    @property
    def status(self) -> Status | Literal["damaged"]:
        """How it ended, unless its files do not tell."""
        return "damaged" if self.damage else self.manifest.status

    @property
    def message(self) -> str:
        """Why it does not count, on one line."""
        return " ".join((self.damage or self.manifest.message).split())


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
        return tuple(run for run in self.runs if run.status == "ok")

    @property
    def items(self) -> Items | None:
        """What its finished runs were scored on."""
        return self.finished[0].items if self.finished else None

    @property
    def measured(self) -> Measured | None:
        """The metrics of its first finished run: their names, order, units and convention."""
        return self.finished[0].measured if self.finished else None

    def scores(self, metric: str) -> tuple[Mask, Floats]:
        """The items that a metric is about (N,), and the scores of all seeds (S, N) in points."""
        found = [run.measured.metrics[metric] for run in self.finished if run.measured]
        return found[0].about, np.stack([each.values for each in found])


@dataclass(frozen=True, slots=True)
class Study:
    """An output directory."""

    directory: Path
    name: str
    methods: tuple[Method, ...]
    precisions: tuple[Method, ...]
    """What was trained, scored in the precisions that the recipe lists; `label@precision`."""
    left_out: int
    """Runs in the directory that its recipe does not ask for."""
    looks: Looks | None = None
    """Of a study that adds seeds by itself: at what it has looked."""


def read_study(directory: Path) -> Study:
    """Read an output directory, or a single run directory.

    A damaged run of an output directory is a run without scores; alone, it is an error.

    Raises:
        UsageError: there is nothing in it.
        RecordError: the recipe is damaged, or the single run is.
    """
    places = find_runs(directory)
    if not (directory / "runs").is_dir():
        found = [read_run(place) for place in places]
        return Study(directory, found[0].recipe.name, _by_label(found, {}), (), 0)
    found = _with_shared_items(_read_all(places))
    recipe = read_written(directory / "recipe.yaml")
    looks = read_looks(directory)
    wanted = asked_for(recipe, looks)
    kept = [run for run in found if _is_asked_for(run, wanted)]
    present = {(run.manifest.label, run.recipe.seed) for run in kept}
    missing: dict[str, list[int]] = {label: [] for label, _ in wanted}
    for label, seed in wanted:
        if (label, seed) not in present:
            missing[label].append(seed)
    scoring = {label for (label, _), run in wanted.items() if run.evaluation.quantize}
    every = _by_label(kept, missing)
    return Study(
        directory,
        recipe.name,
        tuple(method for method in every if method.label not in scoring),
        tuple(method for method in every if method.label in scoring),
        len(found) - len(kept),
        looks,
    )


def asked_for(recipe: Recipe, looks: Looks | None) -> dict[tuple[str, int], Recipe]:
    """Label and seed -> run: those of the recipe, and those that the study added itself."""
    runs = expand(recipe)
    names = labels(runs)
    wanted = {(label, run.seed): run for label, run in zip(names, runs, strict=True)}
    first = dict(zip(reversed(names), reversed(runs), strict=True))
    for label, seeds in (looks.added if looks else {}).items():
        if label in first:
            wanted |= {(label, n): first[label].model_copy(update={"seed": n}) for n in seeds}
    return wanted


def read_run(place: RunDirectory) -> Run:
    """Read one run; predictions are scored anew, so that every figure has one source.

    Raises:
        RecordError: a file is damaged, or scores.json says something else than the predictions.
    """
    recipe, manifest = read_written(place.recipe), place.read_manifest()
    if manifest.status != "ok":
        return Run(place, recipe, manifest, None, None)
    rows = sorted(place.read_answers(), key=lambda row: row.id)
    measured = measure(recipe.task, rows)
    _refuse_other_scores(place, measured, len(rows))
    items, asked = _items(rows, measured.task), recipe.evaluation
    return Run(
        place,
        recipe,
        manifest,
        items,
        measured,
        literal=literal_score(rows) if isinstance(recipe.task, SquadTask) else None,
        curve=answering_curve(rows) if measured.task == "squad_v2" else None,
        answers=tuple(row.answer for row in rows),
        ablated={name: _ablated(place, recipe, items, name) for name in asked.ablations},
        order=tuple(place.read_contamination()) if asked.contamination else None,
        planned=place.read_plan(),
    )


def _ablated(place: RunDirectory, recipe: Recipe, items: Items, name: Ablation) -> Measured:
    rows = sorted(place.read_ablated(name), key=lambda row: row.id)
    measured = measure(recipe.task, rows)
    if _items(rows, measured.task) != items:
        raise RecordError(
            f"{place.ablated(name).name} of {place.path.name} is not about the items of "
            "predictions.jsonl.",
            hint="One was damaged or edited. Move the run directory away and run again.",
        )
    return measured


def _with_shared_items(runs: Iterable[Run]) -> list[Run]:
    """The same runs; equal items and answers are kept once, as soon as a run is read.

    So memory grows with the runs by their scores alone, and not by texts: a study may have a
    thousand runs on ten thousand items.
    """
    kept: dict[Items, Items] = {}
    texts: dict[str, str] = {}
    return [_lean(run, kept, texts) for run in runs]


def _lean(run: Run, kept: dict[Items, Items], texts: dict[str, str]) -> Run:
    if run.items is None:
        return run
    items, literal = kept.setdefault(run.items, run.items), run.literal
    if literal is not None and literal.ids == items.ids:
        literal = replace(literal, ids=items.ids)
    answers = tuple(texts.setdefault(answer, answer) for answer in run.answers)
    return replace(run, items=items, literal=literal, answers=answers)


def _read_all(places: Sequence[RunDirectory]) -> Iterator[Run]:
    """All runs, in their order; many of them with all cores, where processes start at once."""
    workers = min(os.cpu_count() or 1, len(places) // _RUNS_A_PROCESS)
    if workers < 2 or sys.platform != "linux":
        yield from map(_read_or_damaged, places)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        yield from pool.map(_read_or_damaged, places)


def _read_or_damaged(place: RunDirectory) -> Run:
    """A run, or what the name of its directory tells of it and why no more is known."""
    try:
        return read_run(place)
    except RecordError as error:
        told = _DIRECTORY.fullmatch(place.path.name)
        label, seed, known_as = told.groups() if told else (place.path.name, "0", "")
        manifest = Manifest(label=label, digest=known_as, status="failed")
        recipe = Recipe(seed=int(seed))
        return Run(place, recipe, manifest, None, None, damage=str(error))


def _items(rows: Sequence[Prediction], task: str) -> Items:
    return Items(
        task,
        tuple(row.id for row in rows),
        tuple(row.group for row in rows),
        tuple(row.article for row in rows),
        tuple(row.gold for row in rows),
    )


def _refuse_other_scores(place: RunDirectory, measured: Measured, count: int) -> None:
    """scores.json was computed from the same predictions, so it says the same, but for rounding."""
    recorded = place.read_scores().get(measured.task, {})
    for name, value in measured.figures.items():
        there = recorded.get(name)
        metric = measured.metrics.get(name) or measured.beside.get(name)
        about = value if metric is None else metric.about.sum()
        if there is None or abs(there.value - value) > _ROUNDING or there.count != about:
            says = "nothing" if there is None else f"{there.value} on {there.count:,} items"
            raise RecordError(
                f"The files of {place.path.name} contradict each other: for {name}, scores.json "
                f"says {says}, and the {count:,} predictions yield {value}.",
                hint="One was damaged, torn or edited. Move the run directory away and run again.",
            )


def _is_asked_for(run: Run, wanted: dict[tuple[str, int], Recipe]) -> bool:
    """Whether a run is one of the recipe's, with any of the settings that are searched over.

    Its resolved recipe tells, not the digest in its name: that was made by the tunelab of its day.
    """
    asked = wanted.get((run.manifest.label, run.recipe.seed))
    if asked is None or run.damage:
        return asked is not None
    over = asked.search.over if asked.search is not None else {}
    try:
        chosen = {path: setting(run.recipe, path) for path in over}
    except (KeyError, TypeError):
        return False  # searched for what the run does not know
    return digest(with_settings(asked, chosen)) == digest(run.recipe)


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
                f"{other.directory.path.name} and {run.directory.path.name} should differ in their "
                f"seed alone, but answered other items: {other.items.against(run.items)}.",
                hint="The test data changed between the runs. Move the run directory away that is "
                "wrong and run again.",
            )
