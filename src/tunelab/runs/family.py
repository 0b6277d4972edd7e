"""What differs between the families of models in a run: encoders point at spans, decoders write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.errors import RecipeError
from tunelab.evaluation.contamination import Reader
from tunelab.models.loading import reading_direction
from tunelab.recipe import Evaluation, NoTuning, Prompt, Recipe
from tunelab.records import Prediction, Proof
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.runs.progress import Display
from tunelab.training.objective import Objective
from tunelab.tuning import TunedModel
from tunelab.tuning.parity import Logits


class Answers(Protocol):
    """A model that answers, wherever it is."""

    notes: list[str]
    """What a reader of the table must know; it grows while the run goes on."""

    def answer(self, examples: Sequence[Example], name: str) -> list[Prediction]:
        """One prediction per example, each answered; `name` stands on the progress bar."""
        ...


class Family(Answers, Protocol):
    """A model of some family, tuned as a recipe says."""

    tuned: TunedModel
    tokenizer: PreTrainedTokenizerBase
    proofs: list[Proof]
    """What the family proves by itself; likewise."""

    def answering_by(self, settings: Evaluation) -> Self:
        """The same model, answering in another way."""
        ...

    def identity(self) -> dict[str, str]:
        """Class and digest of the weights before tuning, and what of them is new."""
        ...

    def objective(self, examples: Sequence[Example]) -> Objective:
        """What is minimised on training examples."""
        ...

    @property
    def reader(self) -> Reader | None:
        """What gives a text by itself a probability; None for an encoder."""
        ...

    def probe(self, examples: Sequence[Example]) -> Logits:
        """Logits of any model of this family on a few examples, for comparing models."""
        ...

    def fresh_base(self) -> PreTrainedModel:
        """The checkpoint as it was before tuning, on the run's device."""
        ...


def check_family(recipe: Recipe) -> None:
    """Refuse settings of decoders for a model that is none.

    Raises:
        RecipeError: the prompt or its shots were set for an encoder.
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
    _check_decoding(recipe)


def _check_decoding(recipe: Recipe) -> None:
    """Refuse ways of decoding that do not go together."""
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
) -> DecoderFamily | EncoderFamily:
    """Load the recipe's model and make it ready to be tuned.

    Args:
        train: the training examples, which the worked examples of a prompt are taken from.
        stored: what a finished run stored; the model is then as that run left it, and only answers.
    """
    match reading_direction(recipe.model):
        case "both ways":
            return EncoderFamily(
                recipe,
                total_steps=total_steps,
                accelerator=accelerator,
                display=display,
                stored=stored,
            )
        case "left to right":
            return DecoderFamily(
                recipe,
                train,
                total_steps=total_steps,
                accelerator=accelerator,
                display=display,
                stored=stored,
            )
