"""One export: the run is looked at, its folder made beside the wanted one, and moved there whole.

What fails leaves nothing behind. Nothing is trained, and the run itself stays as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from tunelab.errors import UsageError
from tunelab.export.adapter import copy_adapter
from tunelab.export.merging import check_mergeable, merge
from tunelab.export.space import check_space, make_space
from tunelab.recipe import NoTuning, read_written
from tunelab.records import RunDirectory, write_atomically
from tunelab.records.files import storage_errors
from tunelab.report.card import FILE, model_card
from tunelab.runs.source import find_source, one_run

Format = Literal["adapter", "merged", "space"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that was made."""

    folder: Path
    told: tuple[str, ...]
    """What a user must know of it, in sentences; they stand in its card too."""


def export_run(run: Path, *, form: Format, to: Path, onto_original: bool = False) -> Exported:
    """Make a folder from what a run stored.

    Args:
        run: a run directory, or an output directory with one run.
        form: what is made; a model that was tuned as a whole is always copied.
        to: the folder, which must not be there yet, or be empty.
        onto_original: merge an adapter of a quantised base with the unquantised checkpoint.

    Raises:
        UsageError: the run did not finish or stored nothing, the format does not fit it, or `to`
            is taken.
        TuningError: the adapter cannot be merged.
        ModelError: the base is not the one that was trained on.
        ProofError: the merged model does not say what the adapter says on its base.
        RecordError, StorageError: files are damaged, or cannot be written.
    """
    place = one_run(run)
    _check(place, form, onto_original)
    with _made_whole(to) as folder:
        if form == "space":
            return Exported(to, make_space(place, folder))
        if place.model.is_dir():
            with storage_errors(folder):
                shutil.copytree(place.model, folder, dirs_exist_ok=True)
            told = ("The model was tuned as a whole: these are its files as the run stored them.",)
        elif form == "adapter":
            told = copy_adapter(place, folder)
        else:
            told = merge(place, folder, onto_original=onto_original)
        kind = "adapter" if form == "adapter" else "model"
        write_atomically(folder / FILE, model_card(place, kind=kind, exported=told))
    return Exported(to, told)


def _check(place: RunDirectory, form: Format, onto_original: bool) -> None:
    """Refuse what cannot work before anything is loaded."""
    find_source(str(place.path))  # refuses runs that did not finish, and those of an endpoint
    recipe = read_written(place.recipe)
    if isinstance(recipe.tuning, NoTuning):
        raise UsageError(
            f"The run {place.path.name} tuned nothing (tuning.kind=none).",
            hint=f"There is nothing to export: use {recipe.model.path} itself.",
        )
    if not place.weights():
        raise UsageError(
            f"The run {place.path.name} has no weights: neither {place.adapter.name}/ nor "
            f"{place.model.name}/ holds a .safetensors file.",
            hint="They were removed. Run its recipe again in an empty directory.",
        )
    if onto_original and (form != "merged" or recipe.model.quantize == "none"):
        raise UsageError(
            "--onto-original is for merging an adapter that was trained on a quantised base; "
            f"this run has model.quantize={recipe.model.quantize}, and the format is {form}.",
            hint="Leave --onto-original out.",
        )
    match form:
        case "adapter":
            if place.model.is_dir():
                raise UsageError(
                    f"The run {place.path.name} has no adapter: tuning.kind={recipe.tuning.kind} "
                    "stores the whole model.",
                    hint="Say --format merged, which copies it.",
                )
        case "merged":
            check_mergeable(recipe.tuning)
        case "space":
            check_space(recipe)
        case _:
            assert_never(form)


@contextmanager
def _made_whole(to: Path) -> Iterator[Path]:
    """A folder beside `to` that becomes it at the end, or goes."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(
            f"{to} is there already, and is no empty folder.",
            hint="Name another folder with --to, or remove this one.",
        )
    partial = to.with_name(f"{to.name}.partial")
    try:
        with storage_errors(to):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        yield partial
        with storage_errors(to):
            partial.replace(to)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
