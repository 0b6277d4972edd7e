"""The run whose weights a run scores in another precision: its neighbour, found by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import TunelabError
from tunelab.recipe import NoTuning, Recipe, digest, trained_by
from tunelab.records import RunDirectory


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left to be scored."""

    stored: Path | None
    """The folder of its weights; None where nothing was trained."""
    threshold: float | None
    """Its no-answer threshold."""


def find_trained(recipe: Recipe, directory: RunDirectory) -> Trained | None:
    """What the run that trained left; None where a run scores what it trains itself.

    Raises:
        TunelabError: that run is not finished.
    """
    if not recipe.evaluation.quantize:
        return None
    wanted = digest(trained_by(recipe))
    found = next(directory.path.parent.glob(f"*-seed{recipe.seed}-{wanted}"), None)
    state = RunDirectory(found).read_manifest().status if found else "missing"
    if found is None or state != "ok":
        raise TunelabError(
            f"There is nothing to score in {recipe.evaluation.quantize[0]}: the run that trains "
            f"it ({found.name if found else wanted}) is {state}.",
            hint="Look at its error.txt, and run the same command again.",
        )
    place = RunDirectory(found)
    stored = place.adapter if place.adapter.exists() else place.model
    return Trained(
        stored=None if isinstance(recipe.tuning, NoTuning) else stored,
        threshold=place.read_manifest().no_answer_threshold,
    )
