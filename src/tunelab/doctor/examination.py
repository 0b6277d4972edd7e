"""Examines a recipe's data as its model will see it, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from tunelab.data import Example, load_sources, split_validation, take_limit
from tunelab.doctor.classifiers import examine_classifier
from tunelab.doctor.decoders import examine_decoder
from tunelab.doctor.encoders import examine_encoder
from tunelab.doctor.findings import Finding, fact
from tunelab.doctor.remote import examine_remote
from tunelab.doctor.sharing import examine_sharing
from tunelab.doctor.sights import Examination, Sight
from tunelab.doctor.tasks import examine_task
from tunelab.errors import RecipeError
from tunelab.models.encoder import load_tokenizer
from tunelab.models.loading import load_any_tokenizer, reading_direction
from tunelab.prompts.reasoning import add_reasoning_tokens
from tunelab.prompts.shots import choose_shots
from tunelab.recipe import (
    MixtureTask,
    NoTuning,
    PubmedqaTask,
    Recipe,
    SquadTask,
    part_names,
)


def sight_key(recipe: Recipe) -> str:
    """Equal for recipes whose model sees the same."""
    shots = recipe.tuning.shots if isinstance(recipe.tuning, NoTuning) else 0
    seed = recipe.seed if shots else 0  # draws the shots
    room = recipe.evaluation.max_new_tokens
    seen = (recipe.task, recipe.model, recipe.prompt)
    return "\n".join([*(group.model_dump_json() for group in seen), f"{shots} {seed} {room}"])


def examine(recipes: Sequence[Recipe], *, shown: int = 2, prove: bool = True) -> Examination:
    """Look at the data of resolved recipes; `shown` training questions are laid open.

    Unlike a run it does not stop at the first thing that is wrong: it lists them all.

    Args:
        recipes: with one `sight_key`; for each of their ways of tuning a decoder it is proven that
            sharing prefixes changes nothing.
        shown: training questions that are laid open.
        prove: do so; it takes the models themselves, and not their tokenizer alone.
    """
    recipe, task = recipes[0], recipes[0].task
    if isinstance(task, MixtureTask):
        return _examine_mixture(recipes, task, shown=shown, prove=prove)
    if not isinstance(task, SquadTask):
        if reading_direction(recipe.model) == "both ways":
            if isinstance(task, PubmedqaTask):
                classifier = load_tokenizer(recipe.model)
                return examine_classifier(recipe, task, tokenizer=classifier, shown=shown)
            raise RecipeError(
                f"The doctor looks at task.kind={task.kind} as a decoder reads it, and the model "
                f"'{recipe.model.path}' is an encoder.",
                hint="`tunelab run` checks its data before it starts.",
            )
        tokenizer = load_any_tokenizer(recipe.model)
        return examine_task(recipe, task, tokenizer=tokenizer, shown=shown)
    train, test, note = load_parts(task)
    if recipe.model.endpoint is not None:
        shots = choose_shots(train, recipe.tuning, seed=recipe.seed)
        examination = examine_remote(recipe, train, test, shots=shots, shown=shown)
        return examination.with_findings([fact("split", note)])
    match reading_direction(recipe.model):
        case "both ways":
            examination = examine_encoder(
                recipe, train, test, tokenizer=load_tokenizer(recipe.model), shown=shown
            )
        case "left to right":
            tokenizer = load_any_tokenizer(recipe.model)
            add_reasoning_tokens(tokenizer, recipe.prompt.reasoning_tokens)
            shots = choose_shots(train, recipe.tuning, seed=recipe.seed)
            examination = examine_decoder(
                recipe, train, test, tokenizer=tokenizer, shots=shots, shown=shown
            )
            if prove and examination.healthy:
                tunings = {run.tuning.model_dump_json(): run for run in recipes}
                proven = [each for run in tunings.values() for each in examine_sharing(run, train)]
                examination = examination.with_findings(proven)
        case never:
            assert_never(never)
    return examination.with_findings([fact("split", note)])


def _examine_mixture(
    recipes: Sequence[Recipe], task: MixtureTask, *, shown: int, prove: bool
) -> Examination:
    """Each part by itself, under its name."""
    findings: list[Finding] = []
    sights: list[Sight] = []
    for name, part in zip(part_names(task), task.parts, strict=True):
        alone = [run.model_copy(update={"task": part}) for run in recipes]
        found = examine(alone, shown=shown, prove=prove)
        findings += [
            each.model_copy(update={"name": f"{name}, {each.name}"}) for each in found.findings
        ]
        sights += [each.model_copy(update={"id": f"{name}/{each.id}"}) for each in found.sights]
    return Examination(findings=tuple(findings), sights=tuple(sights))


def load_parts(task: SquadTask) -> tuple[list[Example], list[Example], str]:
    """Training and test questions as a run takes them, but with their mistakes left in."""
    split = split_validation(
        load_sources(task.train, part="train", version=task.version), task.validation
    )
    test = load_sources(task.test, part="test", version=task.version)
    return take_limit(split.train, task.train_limit), take_limit(test, task.test_limit), split.note
