"""Plans the runs of a grid: each method once, since seeds and learning rates change no size."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunelab.data import ChoiceExample, Example, Shots, load_choices, load_squad
from tunelab.errors import DataError, ModelError
from tunelab.models.encoder import load_tokenizer
from tunelab.models.loading import direction_of, load_any_tokenizer
from tunelab.plan.coding import (
    Asked,
    Coder,
    Estimated,
    EstimatedWindows,
    Item,
    TreeCoder,
    Weighed,
    WindowCoder,
    Windows,
)
from tunelab.plan.configurations import find_config
from tunelab.plan.depth import rehearsed
from tunelab.plan.drawn import Drawn, draw
from tunelab.plan.estimate import Machine, estimate
from tunelab.plan.kinds import plannable
from tunelab.plan.stated import stated_examples
from tunelab.prompts.prompter import Prompter
from tunelab.prompts.reasoning import add_reasoning_tokens
from tunelab.prompts.shots import choose_shots
from tunelab.recipe import NoTuning, PubmedqaTask, Recipe, SquadTask, Task, trials
from tunelab.records import Forecast
from tunelab.training.sharding import check_sharding
from tunelab.tuning import text_room

STEPS = 32
"""Optimiser steps whose questions are tokenised."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The examples of a run."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    shots: Shots
    note: str = ""


@dataclass(slots=True)
class Planner:
    """Plans runs, and remembers what several of them share.

    Args:
        machine: where they are to run.
        steps: optimiser steps of each that are looked at.
    """

    machine: Machine
    steps: int = STEPS
    parts: dict[str, Parts] = field(default_factory=dict)
    forecasts: dict[str, Forecast] = field(default_factory=dict)

    def plan(self, recipe: Recipe, label: str) -> Forecast:
        """The forecast of one run.

        Raises:
            ModelError: no configuration of the model is known.
            TuningError: the method does not fit the model, or FSDP cannot wrap it.
            DataError: the data can be read but not used.
        """
        key = size_key(recipe)
        if key not in self.forecasts:
            self.forecasts[key] = self._plan(recipe, label)
        found = self.forecasts[key].model_copy(update={"label": label})
        questions = len(self._data(recipe.task, training=True).train) if recipe.search else 0
        return _with_search(recipe, found, questions) if questions else found

    def _plan(self, recipe: Recipe, label: str) -> Forecast:
        if recipe.evaluation.quantize:  # another run's weights are scored
            [precision] = recipe.evaluation.quantize
            model = recipe.model.model_copy(update={"quantize": precision})
            recipe = recipe.model_copy(update={"model": model})
            trains = False
        else:
            trains = not isinstance(recipe.tuning, NoTuning)
        if trains and self.machine.sharding == "fsdp":
            check_sharding(recipe)
        config, note = find_config(recipe.model)
        both_ways = direction_of(config) == "both ways"
        parts = self._data(recipe.task, training=trains)
        drawn = self._draw(recipe, parts, trains=trains, both_ways=both_ways)
        found = rehearsed(
            recipe,
            config,
            drawn,
            reads_both_ways=both_ways,
            on_cpu=self.machine.device.on_cpu,
        )
        also = "not counted: the tasks of also_evaluate" if recipe.also_evaluate else ""
        notes = tuple(each for each in (note, parts.note, found.note, *drawn.notes, also) if each)
        return estimate(recipe, label, drawn, found, machine=self.machine, notes=notes)

    def _draw(
        self,
        recipe: Recipe,
        parts: Parts,
        *,
        trains: bool,
        both_ways: bool,
    ) -> Drawn:
        validated = recipe.training.epochs if recipe.training.select == "best" else 0
        chooses = 1 if _chooses_threshold(recipe) else 0
        times = (validated if trains and recipe.training.epochs > 1 else 0) + chooses
        asked = (parts.test if recipe.evaluation.split == "test" else []) or parts.validation
        return draw(
            recipe,
            _coder(recipe, parts, both_ways=both_ways),
            parts.train if trains else [],
            asked,
            answered=len(asked) + times * len(parts.validation),
            steps=self.steps,
        )

    def _data(self, task: Task, *, training: bool) -> Parts:
        key = f"{training} {task.model_dump_json()}"
        if key not in self.parts:
            self.parts[key] = _read(task, training=training)
        return self.parts[key]


def _read(task: Task, *, training: bool) -> Parts:
    """The data of a task, or filler of stated lengths."""
    task = plannable(task)
    try:
        match task:
            case SquadTask():
                squad = load_squad(task)
                return Parts([*squad.train], [*squad.validation], [*squad.test], {})
            case _:
                found = load_choices(task, training=training)
                return Parts([*found.train], [*found.validation], [*found.test], found.shots)
    except DataError as error:
        stated = stated_examples(task, reason=error.problem)
        wanted = 0 if isinstance(task, SquadTask) or task.kind == "truthfulqa" else task.shots
        shown = tuple(each for each in stated.test[:wanted] if isinstance(each, ChoiceExample))
        shots = {"": shown} if wanted else {}
        return Parts(stated.train, stated.validation, stated.test, shots, stated.note)


def _coder(recipe: Recipe, parts: Parts, *, both_ways: bool) -> Coder:
    try:
        tokenizer = load_tokenizer(recipe.model) if both_ways else load_any_tokenizer(recipe.model)
    except ModelError:
        tokenizer = None
    note = () if tokenizer else ("assumed: no tokenizer can be read; a token is 4 characters",)
    if both_ways:
        if tokenizer is None:
            return WindowCoder(EstimatedWindows(recipe.model), note)
        return WindowCoder(Windows(tokenizer, recipe.model))
    share = recipe.training.share_prefix
    if tokenizer is None:
        shots = recipe.tuning.shots if isinstance(recipe.tuning, NoTuning) else 0
        shots = shots or len(next(iter(parts.shots.values()), ()))
        writes = isinstance(recipe.task, SquadTask)
        return TreeCoder(Estimated(recipe, shots, writes), share, note)
    longest = text_room(recipe)
    match plannable(recipe.task):
        case SquadTask():
            add_reasoning_tokens(tokenizer, recipe.prompt.reasoning_tokens)
            asked = [each for each in parts.train if isinstance(each, Example)]
            worked = choose_shots(asked, recipe.tuning, seed=recipe.seed)
            return TreeCoder(Asked(Prompter(tokenizer, recipe.prompt, worked), longest), share)
        case task:
            writes = isinstance(task, PubmedqaTask) and task.read == "generation"
            return TreeCoder(Weighed(tokenizer, task, parts.shots, longest, writes), share)


def _with_search(recipe: Recipe, forecast: Forecast, questions: int) -> Forecast:
    """The time of the trials, by their steps."""
    if not forecast.steps:
        return forecast
    a_question = forecast.seconds_training / (questions * recipe.training.epochs)
    searched = [
        min(each.task.train_limit or questions, questions) * each.training.epochs
        for each in trials(recipe)
    ]
    seconds = sum(searched) * a_question
    return forecast.model_copy(update={"seconds_search": seconds})


def _chooses_threshold(recipe: Recipe) -> bool:
    task = recipe.task
    if not isinstance(task, SquadTask):
        return False
    return task.version == "2.0" and recipe.evaluation.no_answer_threshold == "validation"


def size_key(recipe: Recipe) -> str:
    """Equal for runs of one size."""
    training = recipe.training.model_copy(
        update={"learning_rate": 1.0, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0}
    )
    alike = {"seed": 0, "name": "", "training": training, "grid": None, "search": None}
    return recipe.model_copy(update=alike).model_dump_json()
