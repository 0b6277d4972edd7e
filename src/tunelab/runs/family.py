"""What differs between the families of models in a run: encoders point at spans, decoders write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.data import ChoiceExample, Conversation, Example, Mixed, Passage
from tunelab.errors import RecipeError
from tunelab.evaluation.contamination import Reader
from tunelab.models.loading import reading_direction
from tunelab.recipe import (
    ChatTask,
    Evaluation,
    FurtherTask,
    MixtureTask,
    NoTuning,
    PrefixTuning,
    Prompt,
    PromptTuning,
    PubmedqaTask,
    Recipe,
    SquadTask,
    TextQaTask,
    TextTask,
)
from tunelab.records import Prediction, Proof
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.runs.progress import Display
from tunelab.training.objective import Objective
from tunelab.tuning import TunedModel
from tunelab.tuning.parity import Logits

TrainedT = TypeVar(
    "TrainedT", Example, ChoiceExample, Conversation, Passage, Mixed, contravariant=True
)


class Answers(Protocol):
    """A model that answers, wherever it is."""

    notes: list[str]
    """What a reader of the table must know; it grows while the run goes on."""

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """One prediction per example, each answered; `name` stands on the progress bar."""
        ...


class Trainable(Protocol[TrainedT]):
    """A model that is tuned on examples of some kind."""

    tuned: TunedModel
    tokenizer: PreTrainedTokenizerBase
    proofs: list[Proof]
    """What the family proves by itself; it grows while the run goes on."""

    @property
    def share(self) -> bool:
        """Whether what sequences have in common is read once; no longer where that is not exact."""
        ...

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning, and what of them is new."""
        ...

    def prove_sharing(self, examples: Sequence[TrainedT]) -> None:
        """Where nothing is trained: measure whether sequences may be read together."""
        ...

    def objective(self, examples: Sequence[TrainedT]) -> Objective:
        """What is minimised on training examples."""
        ...

    def probe(self, examples: Sequence[TrainedT]) -> Logits:
        """Logits of any model of this family on a few examples, for comparing models."""
        ...

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint as it was before tuning, on the run's device."""
        ...


class Tasked(Trainable[TrainedT], Protocol[TrainedT]):
    """A model that is tuned on a task other than SQuAD, and answers it."""

    notes: list[str]
    """What a reader of the table must know; it grows while the run goes on."""

    def answer(self, examples: Sequence[TrainedT], name: str) -> list[Prediction]:
        """One prediction per example; `name` stands on the progress bar."""
        ...

    def score(self, examples: Sequence[TrainedT]) -> float:
        """How good the model is on held-out examples; higher is better."""
        ...


class Family(Answers, Trainable[Example], Protocol):
    """A model of some family, tuned as a recipe says, that answers questions on a text."""

    answered_tokens: int
    """Read and written while answering, padding not counted; it grows while the run goes on."""

    def answering_by(self, settings: Evaluation) -> Self:
        """The same model, answering in another way."""
        ...

    @property
    def reader(self) -> Reader | None:
        """What gives a text by itself a probability; None for an encoder."""
        ...


def check_family(recipe: Recipe) -> None:
    """Refuse settings that the recipe's model or task would not heed.

    Raises:
        RecipeError: a setting of decoders for an encoder, or one of another task.
        ModelError: the checkpoint has no readable configuration.
    """
    shots = recipe.tuning.shots if isinstance(recipe.tuning, NoTuning) else 0
    prompted = "tuning.shots" if shots else "prompt" if recipe.prompt != Prompt() else None
    if prompted is not None and reading_direction(recipe.model) == "both ways":
        raise RecipeError(
            f"'{prompted}' is set, but the model '{recipe.model.path}' is an encoder: it reads a "
            "question and a context, and no prompt.",
            hint=f"Leave '{prompted}' out, or choose a decoder (see `tunelab models`).",
        )
    if recipe.evaluation.contamination and reading_direction(recipe.model) == "both ways":
        raise RecipeError(
            f"evaluation.contamination is set, but the model '{recipe.model.path}' is an encoder: "
            "it gives a text no probability.",
            hint="Leave evaluation.contamination out, or choose a decoder (see `tunelab models`).",
        )
    if recipe.training.gradient_checkpointing and reading_direction(recipe.model) == "both ways":
        raise RecipeError(
            "training.gradient_checkpointing is set, but the model "
            f"'{recipe.model.path}' is an encoder, whose activations are always kept.",
            hint="Leave it out; lower training.tokens_per_pass to need less memory.",
        )
    asked = {recipe.model.quantize, *recipe.evaluation.quantize}
    if asked & {"gptq-int4", "gptq-int8"} and reading_direction(recipe.model) == "both ways":
        raise RecipeError(
            f"GPTQ is for decoders, but the model '{recipe.model.path}' is an encoder.",
            hint="Use int8 or nf4.",
        )
    if isinstance(recipe.task, SquadTask):
        check_decoding(recipe)
    else:
        _check_choosing(recipe)


def _check_choosing(recipe: Recipe) -> None:
    """Refuse what the other tasks do not know."""
    kind = recipe.task.kind
    parts = recipe.task.parts if isinstance(recipe.task, MixtureTask) else (recipe.task,)
    squad = any(isinstance(part, SquadTask) for part in parts)
    if squad:
        check_decoding(recipe)
    else:
        _refuse_constraints(recipe)
    asked_of = (*parts, *recipe.also_evaluate)
    if recipe.evaluation.decoding != "greedy" and not any(map(_writes, asked_of)):
        raise RecipeError(
            f"evaluation.decoding={recipe.evaluation.decoding} is about answers that are written, "
            f"but those of task.kind={kind} are weighed.",
            hint="Leave evaluation.decoding out.",
        )
    if recipe.prompt.reasoning_tokens or (recipe.prompt != Prompt() and not squad):
        raise RecipeError(
            f"'prompt' is set, but task.kind={kind} has a wording of its own.",
            hint="Leave 'prompt' out.",
        )
    if isinstance(recipe.tuning, NoTuning) and recipe.tuning.shots:
        raise RecipeError(
            f"'tuning.shots' is set, but the worked examples of task.kind={kind} belong to the "
            "task.",
            hint=f"Say task.shots={recipe.tuning.shots}.",
        )
    _refuse_text_alone(recipe)
    asked = recipe.evaluation
    if asked.ablations or asked.contamination or asked.quantize:
        raise RecipeError(
            "evaluation.ablations, contamination and quantize are for task.kind=squad, not "
            f"{kind}.",
            hint="Leave them out.",
        )
    if recipe.model.endpoint is not None:
        raise RecipeError(
            f"task.kind={kind} needs a model at hand: an endpoint does not weigh texts.",
            hint="Leave model.endpoint out.",
        )
    if reading_direction(recipe.model) == "both ways":
        _check_classifying(recipe)


def _writes(task: SquadTask | FurtherTask) -> bool:
    """Whether a decoder answers the task in words, not by weighing given ones."""
    match task:
        case PubmedqaTask():
            return task.read == "generation"
        case _:
            return isinstance(task, SquadTask | ChatTask | TextQaTask)


def _refuse_constraints(recipe: Recipe) -> None:
    """What a reply may be, only the questions on a text say."""
    asked = recipe.evaluation
    if asked.constrain != "none" or asked.force_start or asked.reasoning_limit:
        raise RecipeError(
            "evaluation.constrain, force_start and reasoning_limit are for task.kind=squad, not "
            f"{recipe.task.kind}.",
            hint="Leave them out.",
        )


def _refuse_text_alone(recipe: Recipe) -> None:
    """General text has no answers that methods could be judged by."""
    task = recipe.task
    parts = task.parts if isinstance(task, MixtureTask) else (task,)
    if all(isinstance(part, TextTask) for part in parts):
        raise RecipeError(
            "General text has no answers that methods could be judged by.",
            hint="Put the text (kind: text) into also_evaluate, or into a mixture with another "
            "task; `tunelab evaluate MODEL --task text` reads it with any model.",
        )


def _check_classifying(recipe: Recipe) -> None:
    """Refuse what a classification head of an encoder cannot do."""
    task, path = recipe.task, recipe.model.path
    if not isinstance(task, PubmedqaTask):
        raise RecipeError(
            f"task.kind={task.kind} needs a decoder, and the model '{path}' is an encoder.",
            hint="Choose a decoder (see `tunelab models`).",
        )
    if task.shots or task.read == "generation" or task.target == "label-first":
        raise RecipeError(
            f"The model '{path}' is an encoder: it puts questions into classes, and neither reads "
            "worked examples nor writes.",
            hint="Leave task.shots, task.read and task.target out.",
        )
    if isinstance(recipe.tuning, PrefixTuning | PromptTuning):
        raise RecipeError(
            f"tuning.kind={recipe.tuning.kind} does not go with a classification head.",
            hint="Use lora, full, head, or another PEFT method.",
        )


def check_decoding(recipe: Recipe) -> None:
    """Refuse ways of decoding that do not go together.

    Raises:
        RecipeError: they do not.
    """
    settings, plain = recipe.evaluation, recipe.prompt.style == "plain"
    if plain and (settings.constrain == "json" or settings.force_start or settings.reasoning_limit):
        raise RecipeError(
            "prompt.style=plain has bare answers, without an opening: there is nothing that "
            "evaluation.constrain=json, force_start or reasoning_limit could be about.",
            hint="Say prompt.style=chat-json, or evaluation.constrain=span.",
        )
    if settings.reasoning_limit and (settings.force_start or settings.constrain == "none"):
        raise RecipeError(
            "evaluation.reasoning_limit is for a constrained answer that begins after free text.",
            hint="Set evaluation.constrain=json or span, and leave force_start out.",
        )


def load_family(
    recipe: Recipe,
    train: Sequence[Example],
    *,
    total_steps: int,
    accelerator: Accelerator,
    display: Display,
    stored: Path | None = None,
    tokens: Path | None = None,
    home: torch.device | None = None,
) -> DecoderFamily | EncoderFamily:
    """Load the recipe's model and make it ready to be tuned.

    Args:
        train: the training examples, which the worked examples of a prompt are taken from.
        stored: what a finished run stored; the model is then as that run left it, and only answers.
        tokens: where an encoder's windows lie, or are left for the next run of a grid.
        home: where the model is put, if not on the accelerator's device.
    """
    match reading_direction(recipe.model):
        case "both ways":
            family = EncoderFamily(
                recipe,
                total_steps=total_steps,
                accelerator=accelerator,
                display=display,
                stored=stored,
                tokens=tokens,
            )
        case "left to right":
            family = DecoderFamily(
                recipe,
                train,
                total_steps=total_steps,
                accelerator=accelerator,
                display=display,
                stored=stored,
            )
    family.tuned.model.to(home or accelerator.device)
    return family
