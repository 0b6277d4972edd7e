"""An adapter merged into the base that it was trained on, and the proof that nothing was lost.

An adapter fits the weights that it was trained on. Those of a quantised base are unpacked first:
it is merged with the values that they stand for. Merged with the unquantised checkpoint it meets
weights that it never saw; that is done only where asked for, and what it costs is measured. What is
compared is the adapter on its base with the model loaded again from the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tunelab.errors import ProofError, TuningError
from tunelab.export.base import Base, check_base, load_base
from tunelab.export.scoring import SCORED, score_sentence
from tunelab.models.quantise_held import dequantise, rounds_activations
from tunelab.recipe import (
    NoTuning,
    PrefixTuning,
    PromptTuning,
    Recipe,
    StackTuning,
    Tuning,
    read_written,
)
from tunelab.records import RunDirectory
from tunelab.records.files import storage_errors
from tunelab.tuning import TunedModel, load_tuned
from tunelab.tuning.merging import merge as merge_adapter
from tunelab.tuning.parity import COARSE_TOLERANCE
from tunelab.tuning.storing import load_model, store_model

TOLERANCE = 1e-4
"""By which a logit in float32 may differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two models are apart on the same questions."""

    count: int
    largest: float
    mean: float
    scale: float
    """The largest logit."""

    @property
    def sentence(self) -> str:
        """With all figures."""
        return (
            f"{self.count} logits on questions of the run's test set differ by up to "
            f"{self.largest:.2g}, by {self.mean:.2g} in the mean (the largest logit is "
            f"{self.scale:.3g})"
        )


def check_mergeable(tuning: Tuning) -> None:
    """Refuse methods that stand beside the weights.

    Raises:
        TuningError: there is nothing that could be added to them.
    """
    if isinstance(tuning, PrefixTuning | PromptTuning | StackTuning):
        raise _cannot_merge(tuning)


def merge(
    place: RunDirectory, folder: Path, *, onto_original: bool, score_on: int | None
) -> tuple[str, ...]:
    """Write the merged model with its tokenizer.

    Args:
        place: the run.
        folder: where to.
        onto_original: merge with the unquantised checkpoint.
        score_on: questions that are answered before and after; None: some, where the base is
            quantised.

    Returns:
        What a user must know of it.

    Raises:
        TuningError: PEFT cannot merge the method.
        ModelError: the base is not the one that was trained on.
        ProofError: the merged model does not say what the adapter says on its base.
        StorageError: it cannot be written.
    """
    recipe, manifest = read_written(place.recipe), place.read_manifest()
    quantised = recipe.model.quantize != "none"
    wanted = (SCORED if quantised else 0) if score_on is None else score_on
    base = load_base(recipe)
    check_base(base, manifest, path=recipe.model.path)
    tuned = load_tuned(base.model, place.adapter, recipe.tuning)
    logits, before = base.logits, base.logits(tuned)
    answered = base.answer(tuned, wanted) if wanted else []
    coarse = rounds_activations(tuned.checkpoint) or tuned.checkpoint.dtype != torch.float32
    if quantised:
        del base, tuned  # two of them need not fit into the memory
        base = _plain_base(recipe, onto_original=onto_original)
        tuned = load_tuned(base.model, place.adapter, recipe.tuning)
    merged = merge_adapter(tuned)
    if merged is None:
        raise _cannot_merge(recipe.tuning)
    store_model(merged, folder)
    with storage_errors(folder):
        base.tokenizer.save_pretrained(folder)
    again = load_model(folder, like=merged)
    torch.nn.Module.to(again, merged.device)
    plain = TunedModel(again, NoTuning(kind="none"), frozenset())
    found = difference(before, logits(plain))
    if not onto_original:
        _check(found, COARSE_TOLERANCE * found.scale if coarse else TOLERANCE)
    told = (_onto(recipe, manifest.model.get("sha256", ""), base, onto_original), _told(found))
    if not answered:
        return told
    scored = score_sentence(
        recipe.task, answered, base.answer(plain, wanted),
        threshold=manifest.no_answer_threshold, change="merging",
    )  # fmt: skip
    return (*told, scored)


def difference(before: Tensor, after: Tensor) -> Difference:
    """Compare two sets of logits where they are finite (padding is -inf), both (n,)."""
    real = before.isfinite()
    first, second = before[real].double(), after[real].double()
    apart = (first - second).abs()
    return Difference(
        count=first.numel(),
        largest=float(apart.max()),
        mean=float(apart.mean()),
        scale=float(first.abs().max()),
    )


def _plain_base(recipe: Recipe, *, onto_original: bool) -> Base:
    """Weights that can be added to: those of the checkpoint, or those that integers stand for."""
    if onto_original:
        plain = recipe.model.model_copy(update={"quantize": "none"})
        return load_base(recipe.model_copy(update={"model": plain}))
    base = load_base(recipe)
    dequantise(base.model, dtype=base.model.dtype)
    return base


def _check(found: Difference, allowed: float) -> None:
    if not found.largest <= allowed:  # nan is not allowed either
        raise ProofError(
            f"The merged model does not say what the adapter says on its base: {found.sentence}; "
            f"{allowed:.2g} is allowed. Nothing was written.",
            hint="Export the adapter instead: --format adapter.",
        )


def _onto(recipe: Recipe, sha256: str, base: Base, onto_original: bool) -> str:
    quantised = recipe.model.quantize
    if onto_original:
        return (
            f"Merged with the unquantised checkpoint (SHA-256 {base.sha256}), though the adapter "
            f"was trained on its {quantised} form (SHA-256 {sha256}): not the model that was "
            "scored."
        )
    if quantised != "none":
        return (
            f"Merged with the values that the {quantised} base stands for, the one that was "
            f"trained on (SHA-256 {sha256}), unpacked to {str(base.model.dtype)[6:]}."
        )
    return f"Merged with the base that was trained on (SHA-256 {sha256})."


def _told(found: Difference) -> str:
    return f"Loaded again and compared with the adapter on its base: {found.sentence}."


def _cannot_merge(tuning: Tuning) -> TuningError:
    if isinstance(tuning, StackTuning):
        virtual = tuning.parts[1]
        return TuningError(
            "What tuning.kind=stack trained cannot be merged: the "
            f"{virtual.virtual_tokens} virtual tokens of its {virtual.kind} are not added to "
            "weights.",
            hint="Export both adapters, which PEFT loads one upon the other: --format adapter.",
        )
    return TuningError(
        f"What tuning.kind={tuning.kind} trained cannot be merged: it is not added to weights.",
        hint="Export the adapter, which PEFT loads: --format adapter.",
    )
