"""A recipe's whole grid: search, then every run that is not yet done. Files alone say what is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.data import load_task
from tunelab.errors import RecipeError, TunelabError
from tunelab.evaluation.measure import PRIMARY
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.models.quantise import check_installed
from tunelab.recipe import Recipe, digest, dump, expand, labels, setting, trials, with_settings
from tunelab.records import Manifest, RunDirectory, write_atomically
from tunelab.runs.family import check_family
from tunelab.runs.lock import hold
from tunelab.runs.process import Workers
from tunelab.runs.progress import Display
from tunelab.runs.remote_checks import check_remote
from tunelab.runs.tracking import check_trackers
from tunelab.tuning import check_tuning

SEARCH = "search"
"""Trials lie in DIR/search/runs/, apart from the runs that are reported."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A run with its label and its place."""

    recipe: Recipe
    label: str
    directory: RunDirectory


def run_experiment(recipe: Recipe, out: Path, *, quiet: bool = False) -> list[Manifest]:
    """Do what is missing in `out`; returns the manifests of all runs, in the order they are done.

    A run that failed is tried again; a finished one is kept.

    Raises:
        TunelabError: the recipe, its data or a model's name is wrong (nothing was started), the
            directory is in use, or the user interrupted.
    """
    runs = expand(recipe)
    check(runs)
    display = Display(recipe.name, quiet=quiet)
    workers = Workers()
    with hold(out):
        write_atomically(out / "recipe.yaml", dump(recipe))
        found = [_searched(run, out / SEARCH, workers, display, quiet) for run in runs]
        planned = plan_runs([run for run, _ in found], labels(runs), out)
        # all methods with one seed before the next seed: a study that is stopped early compares
        order = sorted(range(len(runs)), key=lambda index: runs[index].seed)
        manifests: list[Manifest] = []
        for number, index in enumerate(order, start=1):
            item, (_, settings) = planned[index], found[index]
            display.say(f"run {number} of {len(order)}: {item.directory.path.name}")
            manifests.append(_do(item, workers, quiet=quiet, search=settings))
    return manifests


def check(runs: Sequence[Recipe]) -> None:
    """Refuse what cannot work before anything is started."""
    for task in {run.task.model_dump_json(): run.task for run in runs}.values():
        load_task(task)
    for run in runs:
        if run.evaluation.split == "validation" and run.task.validation == 0:
            raise RecipeError(
                "evaluation.split is validation, but task.validation is 0: nothing is held out.",
                hint="Set task.validation=0.1, or evaluate on the test split.",
            )
        if run.search is not None and run.task.validation == 0:
            raise RecipeError(
                "search chooses on validation, but task.validation is 0: nothing is held out.",
                hint="Set task.validation=0.1, or drop the search with search=null.",
            )
        if run.model.endpoint is None:
            resolve_checkpoint(run.model.path)
            check_family(run)
        check_tuning(run.tuning, run.model.quantize)
        check_installed(run.model.quantize)
        check_trackers(run.track)
    check_remote(runs)


def plan_runs(runs: Sequence[Recipe], names: Sequence[str], out: Path) -> list[Planned]:
    """Where each run of a grid lies: `runs/<label>-seed<seed>-<digest>/`."""
    return [
        Planned(
            run,
            label,
            RunDirectory(out / "runs" / f"{_file_name(label)}-seed{run.seed}-{digest(run)}"),
        )
        for run, label in zip(runs, names, strict=True)
    ]


def _searched(
    run: Recipe, out: Path, workers: Workers, display: Display, quiet: bool
) -> tuple[Recipe, dict[str, float] | None]:
    """`run` with the settings that its trials chose on validation."""
    tried = trials(run)
    if not tried:
        return run, None
    assert run.search is not None
    best: tuple[float, dict[str, float]] | None = None
    for item in plan_runs(tried, labels(tried), out):
        manifest = _do(item, workers, quiet=quiet, search=None)
        settings = {path: setting(item.recipe, path) for path in run.search.over}
        if manifest.status != "ok":
            display.say(f"trial {item.directory.path.name}: {manifest.status}")
            continue
        score = next(iter(item.directory.read_scores().values()))[PRIMARY].value
        display.say(f"trial {item.directory.path.name}: validation {PRIMARY} {score:.4g}")
        if best is None or score > best[0]:
            best = (score, settings)
    if best is None:
        raise TunelabError(
            f"No trial of the search for '{labels([run])[0]}' succeeded.",
            hint=f"See {out / 'runs'}/*/error.txt; try lower values in search.over.",
        )
    return with_settings(run, best[1]), best[1]


def _do(
    item: Planned, workers: Workers, *, quiet: bool, search: dict[str, float] | None
) -> Manifest:
    """The manifest of a finished run, done now if it is missing."""
    manifest = item.directory.read_manifest() if item.directory.manifest.exists() else None
    if manifest is None or manifest.status != "ok":
        manifest = workers.run(item.recipe, item.label, item.directory, quiet=quiet)
    if manifest.search != search:
        manifest = manifest.model_copy(update={"search": search})
        item.directory.write_manifest(manifest)
    return manifest


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.=,+" else "_" for c in label)
