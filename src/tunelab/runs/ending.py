"""How an error that ends a run is told in its manifest."""

from __future__ import annotations

import traceback
from contextlib import suppress

from tunelab.errors import DivergedError, Interrupted, RecordError, TunelabError
from tunelab.recipe import Recipe, digest, dump
from tunelab.records import Manifest, RunDirectory, Status, write_atomically
from tunelab.runs.crew import LESS_MEMORY
from tunelab.runs.memory import is_out_of_memory
from tunelab.training.devices import LOST, is_lost


def write_ending(
    recipe: Recipe, label: str, directory: RunDirectory, status: Status, message: str
) -> Manifest:
    """The manifest of a run that could not write its end by itself.

    Raises:
        StorageError: not even this can be written.
    """
    manifest = Manifest(label=label, digest=digest(recipe), status="running")
    with suppress(RecordError):  # it ended before it wrote one
        manifest = directory.read_manifest()
    manifest = manifest.model_copy(update={"status": status, "message": message})
    if not directory.recipe.exists():
        write_atomically(directory.recipe, dump(recipe))
    write_atomically(directory.error, f"{message}\n")
    directory.write_manifest(manifest)
    return manifest


def ending(error: Exception) -> tuple[Status, str, str]:
    """Status, message, and for a defect of ours the trace, of a run that `error` ended."""
    match error:
        case Interrupted():
            return "interrupted", str(error), ""
        case DivergedError():
            return "diverged", str(error), ""
        case TunelabError():
            return "failed", str(error), ""
        case _ if is_out_of_memory(error):
            return "out_of_memory", f"Memory ran out: {error}. {LESS_MEMORY}", ""
        case _ if is_lost(error):
            return "failed", f"{LOST}: {error}", ""
        case _:
            trace = "".join(traceback.format_exception(error))
            return "failed", f"A defect of tunelab: {error!r}", trace
