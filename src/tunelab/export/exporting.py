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
from tunelab.export.gguf_export import check_gguf, write_gguf
from tunelab.export.gguf_file import Weights
from tunelab.export.merging import check_mergeable, merge
from tunelab.export.space import check_space, make_space
from tunelab.recipe import NoTuning, read_written
from tunelab.records import RunDirectory, write_atomically
from tunelab.records.files import storage_errors
from tunelab.report.card import FILE, Kind, model_card
from tunelab.runs.source import find_source, one_run

Format = Literal["adapter", "merged", "gguf", "space"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that was made."""

    folder: Path
    told: tuple[str, ...]
    """What a user must know of it, in sentences; they stand in its card too."""


def export_run(
    run: Path,
    *,
    form: Format,
    to: Path,
    onto_original: bool = False,
    weights: Weights | None = None,
    score_on: int | None = None,
) -> Exported:
    """Make a folder from what a run stored.

    Args:
        run: a run directory, or an output directory with one run.
        form: what is made; a model that was tuned as a whole needs no merging.
        to: the folder, which must not be there yet, or be empty.
        onto_original: merge an adapter of a quantised base with the unquantised checkpoint.
        weights: how a GGUF file holds its matrices; None: in f16.
        score_on: questions of the test set that are answered before and after; None: 100 where
            the base, or the file, is quantised.

    Raises:
        UsageError: the run did not finish or stored nothing, the format does not fit it, or `to`
            is taken.
        TuningError: the adapter cannot be merged.
        ModelError: the base is not the one that was trained on, or no GGUF can be made of it.
        ProofError: what was made does not say what the run's model says.
        RecordError, StorageError: files are damaged, or cannot be written.
    """
    place = one_run(run)
    _check_options(form, weights, score_on)
    held: Weights = weights or "f16"
    _check(place, form, onto_original, held)
    with _made_whole(to) as folder:
        match form:
            case "space":
                return Exported(to, make_space(place, folder))
            case "adapter":
                told = copy_adapter(place, folder)
            case "merged":
                told = _whole_model(place, folder, onto_original, score_on)
            case "gguf":
                whole = folder / "whole"
                told = _whole_model(place, whole, onto_original, score_on)
                file = folder / f"model-{held}.gguf"
                told += write_gguf(place, whole, file, held, score_on=score_on)
                shutil.rmtree(whole)
            case _:
                assert_never(form)
        kind: Kind = "model" if form == "merged" else form
        write_atomically(folder / FILE, model_card(place, kind=kind, exported=told))
    return Exported(to, told)


def _whole_model(
    place: RunDirectory, folder: Path, onto_original: bool, score_on: int | None
) -> tuple[str, ...]:
    if not place.model.is_dir():
        return merge(place, folder, onto_original=onto_original, score_on=score_on)
    with storage_errors(folder):
        shutil.copytree(place.model, folder, dirs_exist_ok=True)
    return ("The model was tuned as a whole: these are its files as the run stored them.",)


def _check_options(form: Format, weights: Weights | None, score_on: int | None) -> None:
    """Refuse options that say nothing about the format."""
    if weights is not None and form != "gguf":
        raise UsageError(
            f"--gguf-type={weights} is for --format gguf, and the format is {form}.",
            hint="Say --format gguf, or leave --gguf-type out.",
        )
    if score_on is not None and form not in ("merged", "gguf"):
        raise UsageError(
            f"--score-on is for --format merged and gguf: {form} changes no weights.",
            hint="Leave --score-on out.",
        )


def _check(place: RunDirectory, form: Format, onto_original: bool, weights: Weights) -> None:
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
    if onto_original and (form in ("adapter", "space") or recipe.model.quantize == "none"):
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
        case "gguf":
            check_mergeable(recipe.tuning)
            check_gguf(place, recipe, weights)
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
    place = to.resolve()  # "." has no name
    if place == Path.cwd():
        raise UsageError(
            f"{to} is the folder that you are in; the new one is put in its place as a whole.",
            hint=f"Type cd .. first, and name it: --to {place.name}",
        )
    partial = place.with_name(f"{place.name}.partial")
    try:
        with storage_errors(to):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        yield partial
        with storage_errors(to):
            partial.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
