"""The base that a run started from, loaded as the run did, with questions to ask models with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.data import ItemT, load_squad
from tunelab.errors import ModelError
from tunelab.recipe import NoTuning, Recipe, SquadTask
from tunelab.records import Manifest, Prediction
from tunelab.runs.family import Trainable, TrainedT, load_family
from tunelab.runs.opening import open_task
from tunelab.runs.progress import Display
from tunelab.tuning import TunedModel
from tunelab.tuning.parity import Logits

ASKED = 32
"""Questions that models are compared on: the first of the test set."""
_AT_ONCE = 2
"""Every family compares on at least as many of those that it is given."""
_IN_RESERVE = 64
"""Questions that follow, for those that are too long for the model to read."""


Answer = Callable[[TunedModel, int], list[Prediction]]


class _Asked(Trainable[TrainedT], Protocol[TrainedT]):
    """A family that answers what it is trained on."""

    def answer(self, examples: Sequence[TrainedT], name: str) -> list[Prediction]:
        """One prediction per example."""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """A checkpoint as it was before tuning."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sha256: str
    """Of its weights, a new head and new rows included."""
    logits: Logits
    """What any model of its kind says to questions of the run's test set, (n,)."""
    answer: Answer
    """What it answers to the first of them, as many as are asked for."""


def load_base(recipe: Recipe) -> Base:
    """Load the base of a run again, on this machine's device.

    Raises:
        ModelError: the checkpoint is missing or cannot be loaded.
        DataError: the data of the run, which models are compared on, cannot be read.
    """
    untuned = recipe.model_copy(update={"tuning": NoTuning(kind="none")})
    accelerator, display = Accelerator(), Display("export", quiet=False)
    match recipe.task:
        case SquadTask():
            data = load_squad(recipe.task)
            family = load_family(
                untuned, data.train, total_steps=1, accelerator=accelerator, display=display
            )
            return _base(family, data.test)
        case task:
            opened = open_task(untuned, task, display=display)
            return _base(opened.family(1, accelerator), opened.data.test)


def check_base(base: Base, manifest: Manifest, *, path: str) -> None:
    """Refuse a base that is not the one that was trained on.

    Raises:
        ModelError: the digests differ, or the run recorded none.
    """
    wanted = manifest.model.get("sha256", "none")
    if base.sha256 != wanted:
        raise ModelError(
            f"The weights of '{path}' are not those that the run was trained on: their SHA-256 is "
            f"{base.sha256}, and the run started from {wanted}. An adapter merged with another "
            "base does not say what was scored.",
            hint="Give the checkpoint its old content back (or model.revision), or export the "
            "adapter: --format adapter.",
        )


def _base(family: _Asked[ItemT], examples: Sequence[ItemT]) -> Base:
    starts = takewhile(lambda start: start < min(ASKED, len(examples)), count(0, _AT_ONCE))
    probes = [family.probe(examples[start : start + _IN_RESERVE]) for start in starts]

    def logits(tuned: TunedModel) -> Tensor:
        return torch.cat([probe(tuned).float().flatten().cpu() for probe in probes])

    def answer(tuned: TunedModel, wanted: int) -> list[Prediction]:
        asked = copy.copy(family)
        asked.tuned = tuned
        return asked.answer(examples[:wanted], "test")

    model, sha256 = family.tuned.checkpoint, family.identity()["sha256"]
    return Base(model, family.tokenizer, sha256, logits, answer)
