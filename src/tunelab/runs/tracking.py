"""Mirrors a run into TensorBoard, trackio or W&B, through accelerate's trackers.

The truth stays in the run directory: a mirror is written beside it and never read. What goes wrong
with a tracker while a run goes on ends that mirror with a note, and never the run.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

from accelerate.state import PartialState
from accelerate.tracking import GeneralTracker, TensorBoardTracker, TrackioTracker, WandBTracker

from tunelab.errors import RecipeError
from tunelab.recipe import Recipe
from tunelab.records import RunDirectory, Scores, Step

FOLDER = "tracking"
"""In the run directory: what trackers write that keep files."""

_STEP = ("loss", "learning_rate", "grad_norm", "examples", "tokens", "seconds")


def check_trackers(wanted: Sequence[str]) -> None:
    """Refuse trackers that are not installed.

    Raises:
        RecipeError: with the command that installs them.
    """
    for name in wanted:
        if importlib.util.find_spec(name) is None:
            raise RecipeError(
                f"'track' names {name}, but the package {name} is not installed.",
                hint="pip install 'tunelab[track]', or leave 'track' out.",
            )


class Mirror:
    """The trackers of one run.

    Args:
        recipe: names the trackers and the project.
        directory: of the run; its name is the run's.
        say: tells the user that a mirror ended.
    """

    def __init__(
        self, recipe: Recipe, directory: RunDirectory, *, say: Callable[[str], None]
    ) -> None:
        self.notes: list[str] = []
        """What a reader of the table must know."""
        self._recipe = recipe
        self._directory = directory
        self._say = say
        self._trackers: dict[str, GeneralTracker] = {}
        self._last = 0

    def start(self) -> None:
        """Begin, with the recipe as the configuration."""
        if self._recipe.track:
            PartialState()  # trackers ask it which process is the main one
        settings = flat(self._recipe.model_dump(mode="json"))
        for name in self._recipe.track:
            self._trackers[name] = self._make(name)
        self._each(lambda tracker: tracker.start())
        self._each(lambda tracker: tracker.store_init_configuration(settings))

    def step(self, step: Step) -> None:
        """Mirror one optimiser step."""
        self._last = step.step
        values = step.model_dump(include=set(_STEP))
        self._each(lambda tracker: tracker.log(values, step=step.step))

    def scores(self, scores: Scores) -> None:
        """Mirror the scores, at the last step."""
        values = {
            f"{task}/{name}": score.value
            for task, figures in scores.items()
            for name, score in figures.items()
        }
        self._each(lambda tracker: tracker.log(values, step=self._last))

    def finish(self) -> None:
        """Close what is open."""
        self._each(lambda tracker: tracker.finish())
        self._trackers.clear()

    def _make(self, name: str) -> GeneralTracker:
        folder, run = self._directory.path / FOLDER, self._directory.path.name
        match name:
            case "tensorboard":
                return TensorBoardTracker(name, folder)
            case "trackio":
                return TrackioTracker(
                    self._recipe.name, name=run, embed=False, auto_log_cpu=False, auto_log_gpu=False
                )
            case "wandb":
                folder.mkdir(parents=True, exist_ok=True)
                return WandBTracker(self._recipe.name, name=run, dir=str(folder))
            case _:
                raise ValueError(f"no tracker {name}")

    def _each(self, act: Callable[[GeneralTracker], Any]) -> None:
        """Do it with every tracker; one that fails is left out from then on."""
        for name, tracker in list(self._trackers.items()):
            try:
                with redirect_stdout(sys.stderr):  # some of them tell the user about themselves
                    act(tracker)
            except Exception as error:  # noqa: BLE001 - nothing of a mirror may end a run
                del self._trackers[name]
                told = " ".join(f"{type(error).__name__}: {error}".split())
                self.notes.append(f"{name} stopped mirroring this run: {told}")
                self._say(self.notes[-1])


def flat(tree: object, path: str = "") -> dict[str, str | int | float | bool]:
    """Nested settings by dotted path; lists as text, nothing left out."""
    match tree:
        case dict():
            parts: dict[str, str | int | float | bool] = {}
            for key, value in tree.items():
                parts |= flat(value, f"{path}.{key}".strip("."))
            return parts
        case str() | bool() | int() | float():
            return {path: tree}
        case None:
            return {path: "none"}
        case _:
            return {path: str(tree)}
