"""A recipe's whole grid: search, then every run that is not yet done. Files alone say what is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunelab.errors import RecipeError, RecordError, VersionError
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.models.quantise import check_installed
from tunelab.recipe import (
    Recipe,
    SquadTask,
    check_search,
    digest,
    dump,
    expand,
    is_searched,
    labels,
    task_name,
    trials,
    with_settings,
)
from tunelab.records import Manifest, RunDirectory, write_atomically
from tunelab.runs.also import BASE, check_also, untuned
from tunelab.runs.ending import write_ending
from tunelab.runs.examples import FINISHED, Examples
from tunelab.runs.family import check_family
from tunelab.runs.foresight import Foresight
from tunelab.runs.lock import hold
from tunelab.runs.planned import Executor, Planned, plan_runs
from tunelab.runs.process import Workers
from tunelab.runs.progress import Display
from tunelab.runs.remote_checks import check_remote
from tunelab.runs.search import Found, search
from tunelab.runs.sharing import Shared
from tunelab.runs.tracking import check_trackers
from tunelab.runs.until import UntilSeparable
from tunelab.training.optimizers import check_optimizer
from tunelab.tuning import check_tuning

_SECONDS_FOR_A_PREDECESSOR = 5.0
"""One that was just killed needs a moment to let go of the directory."""
SEARCH = "search"
"""Trials lie in DIR/search/runs/, apart from the runs that are reported."""
TOKENS = "tokens"
"""Tokenised examples that runs share, until all of them are done."""


def run_experiment(
    recipe: Recipe,
    out: Path,
    *,
    quiet: bool = False,
    until: UntilSeparable | None = None,
    workers: Executor | None = None,
    anyway: bool = False,
) -> list[Manifest]:
    """Do what is missing in `out`; returns the manifests of all runs, in the order they are done.

    A finished run is kept, and so is one that diverged: it would again. Any other is tried again.
    `workers` do the runs: those of this machine, one after the other, unless others are given.
    `until` asks for more when all that the recipe asks for is done, or for no more before that.
    What might not fit is planned before a first run is started; `anyway` starts it all the same.

    Raises:
        FitError: a run will not fit (nothing was started).
        TunelabError: the recipe, its data or a model's name is wrong (nothing was started), the
            directory is in use, what is done there was done with other data, a record is of a later
            version, or the user interrupted.
    """
    runs = expand(recipe)
    examples = Examples()
    check(runs, examples)
    display = Display(recipe.name, quiet=quiet)
    workers = workers or Workers()
    foresight = Foresight(display.say, anyway=anyway)

    def share(run: Recipe) -> Shared:
        questions = isinstance(run.task, SquadTask)
        return Shared(examples.of(run) if questions else None, out / TOKENS)

    def do(items: Sequence[Planned]) -> Iterator[Manifest]:
        examples.refuse_others(items)
        there = [_finished(item.directory, display) for item in items]
        missing = [item for item, found in zip(items, there, strict=True) if found is None]
        done = workers.run_all(missing, share=share, quiet=quiet)
        for found in there:
            yield found or next(done)

    with hold(out, patience=_SECONDS_FOR_A_PREDECESSOR):
        bases = untuned(runs)
        untrained = plan_runs(bases, [task_name(each.task) for each in bases], out / BASE)
        examples.refuse_others([*untrained, *plan_runs(runs, labels(runs), out)])
        write_atomically(out / "recipe.yaml", dump(recipe))
        todo = list(zip(labels(runs), runs, strict=True))
        if isinstance(workers, Workers):  # others do their runs with other memory
            foresight.look(plan_runs(runs, labels(runs), out))
        manifests: list[Manifest] = []
        done = do(untrained)
        for item in untrained:
            display.say(f"untuned: {item.directory.path.name}")
            manifests.append(next(done))
        while todo:
            found = [search(run, out / SEARCH, do=do, say=display.say) for _, run in todo]
            settled = [
                with_settings(run, (result.settings if result else None) or {})
                for (_, run), result in zip(todo, found, strict=True)
            ]
            planned = plan_runs(settled, [label for label, _ in todo], out)
            # all methods with one seed before the next seed: a study stopped early compares
            order = sorted(range(len(todo)), key=lambda index: settled[index].seed)
            settled_runs = [planned[index] for index in order if _has_settings(found[index])]
            for (_, run), item in zip(todo, planned, strict=True):
                if item in settled_runs:
                    _forget_the_row_without_settings(run, item, out)
            done = do(settled_runs)
            for number, index in enumerate(order, start=1):
                if manifests and until is not None and not until.has_time:
                    break  # but not before a first run, or there is nothing to report
                item, result = planned[index], found[index]
                display.say(f"run {number} of {len(order)}: {item.directory.path.name}")
                if result is not None and result.settings is None:
                    manifest = _without_settings(item, result)
                else:
                    manifest = next(done)
                    foresight.complete(item, manifest)
                manifests.append(_noted(item, manifest, result))
            todo = until.more() if until is not None else []
        if all(manifest.status == "ok" for manifest in manifests):
            shutil.rmtree(out / TOKENS, ignore_errors=True)
    return manifests


def check(runs: Sequence[Recipe], examples: Examples | None = None) -> None:
    """Refuse what cannot work before anything is started."""
    (examples or Examples()).check(runs)
    for run in runs:
        if run.evaluation.split == "validation" and run.task.validation == 0:
            raise RecipeError(
                "evaluation.split is validation, but task.validation is 0: nothing is held out.",
                hint="Set task.validation=0.1, or evaluate on the test split.",
            )
        if is_searched(run) and run.task.validation == 0:
            raise RecipeError(
                "search chooses on validation, but task.validation is 0: nothing is held out.",
                hint="Set task.validation=0.1, or drop the search with search=null.",
            )
    check_search(runs)
    check_also(runs)
    check_remote(runs)
    for run in runs:
        check_trackers(run.track)
        for started in (run, *trials(run)):
            if started.model.endpoint is None:
                resolve_checkpoint(started.model.path)
                check_family(started)
            elif started.evaluation.quantize or started.model.quantize != "none":
                raise RecipeError(
                    f"{started.model.endpoint} holds the weights; they cannot be quantised here.",
                    hint="Leave model.quantize and evaluation.quantize out.",
                )
            check_tuning(started.tuning, started.model.quantize)
            check_optimizer(started.training)
            for precision in (started.model.quantize, *started.evaluation.quantize):
                check_installed(precision)


def _finished(directory: RunDirectory, display: Display) -> Manifest | None:
    """The manifest of a run with nothing left to do; a line where its files were damaged."""
    if not directory.manifest.exists():
        return None
    try:
        manifest = directory.read_manifest()
    except VersionError:
        raise  # a later tunelab's work is not overwritten
    except RecordError as error:
        display.say(f"{directory.path.name} is done again: {error.problem}")
        return None
    if manifest.status not in FINISHED:
        return None
    damaged = directory.damaged_files(manifest)
    if damaged:
        display.say(f"{directory.path.name} is done again: damaged or gone: {', '.join(damaged)}")
        return None
    return manifest


def _has_settings(found: Found | None) -> bool:
    return found is None or found.settings is not None


def _without_settings(item: Planned, found: Found) -> Manifest:
    """The row of a method that the search found no settings for."""
    told = f"No trial of the search succeeded; the last one: {found.why}"
    return write_ending(item.recipe, item.label, item.directory, "failed", told)


def _forget_the_row_without_settings(run: Recipe, item: Planned, out: Path) -> None:
    """An earlier search of this run may have found no settings, as `_without_settings` tells."""
    [row] = plan_runs([with_settings(run, {})], [item.label], out)
    if digest(row.recipe) != digest(item.recipe) and not row.directory.steps.exists():
        shutil.rmtree(row.directory.path, ignore_errors=True)


def _noted(item: Planned, manifest: Manifest, found: Found | None) -> Manifest:
    """The manifest with its label in this grid, and with what its search chose and took."""
    noted = manifest.model_copy(
        update={
            "label": item.label,
            "search": found.settings if found else None,
            "search_cost": found.cost if found else None,
        }
    )
    if noted != manifest:
        item.directory.write_manifest(noted)
    return noted
