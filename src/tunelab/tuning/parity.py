"""Proof that what was stored is what was trained: loaded again, it says the same; merged, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import RecordError
from tunelab.models.quantise_held import dequantise, quantised_layers, rounds_activations
from tunelab.records import Proof
from tunelab.tuning.apply import load_tuned
from tunelab.tuning.merging import may_merge, merge
from tunelab.tuning.model import TunedModel

RELOAD_TOLERANCE = 1e-5
"""Of the largest logit, in float32; what is stored as it is comes back bit for bit."""
MERGE_TOLERANCE = 1e-4
"""Of the largest logit, in float32, where the same sum is rounded in another order: merged models,
and PiSSA and OLoRA adapters, which are stored in another form than they are trained in."""
COARSE_TOLERANCE = 0.05
"""Of the largest logit, where the weights are stored in less than float32, or activations are
rounded to int8 before the base is unpacked to be merged with."""

Logits = Callable[[TunedModel], Tensor]


@dataclass(frozen=True, slots=True)
class Said:
    """What the trained model says, before it is compared with anything."""

    logits: Tensor
    acts: list[Proof]
    """That the adapter has an effect, where there is one."""


def listen(tuned: TunedModel, logits: Logits) -> Said:
    """Ask the trained model; where it is sharded, all processes do this together."""
    return Said(logits(tuned), [_acts(tuned, logits)] if tuned.stored == "adapter" else [])


def reload_proofs(
    tuned: TunedModel,
    folder: Path,
    fresh_base: Callable[[], PreTrainedModel],
    logits: Logits,
    *,
    said: Said | None = None,
    unpack: bool = False,
) -> list[Proof]:
    """Compare the trained model with what a user will load.

    Args:
        tuned: the trained model.
        folder: where `tuned.save` put it.
        fresh_base: loads the checkpoint as it was before tuning, on the same device.
        logits: logits of a model on a given batch, in evaluation mode and without autocast, so
            that differences are those of the weights.
        said: what the trained model says, where it was asked before.
        unpack: prove merging on a quantised base too, which is unpacked for it, whole: that takes
            the very memory that the few bits saved. `tunelab export` proves it when it merges.
    """
    said = said or listen(tuned, logits)
    trained, acts = said.logits, said.acts
    try:
        loaded = load_tuned(fresh_base(), folder, tuned.tuning)
    except RecordError as error:
        return [*acts, _stored(held=False, found=error.problem)]
    reloaded = _reloaded(tuned, loaded, trained, logits(loaded))
    if quantised_layers(loaded.checkpoint) and not unpack:
        return [*acts, reloaded]
    coarse = rounds_activations(loaded.checkpoint)
    limit = COARSE_TOLERANCE if coarse else _tolerance(loaded, MERGE_TOLERANCE)
    merged = _merged(_unquantised(loaded, folder, fresh_base), trained, logits, limit)
    return [*acts, reloaded, *merged]


def _unquantised(
    loaded: TunedModel, folder: Path, fresh_base: Callable[[], PreTrainedModel]
) -> TunedModel:
    """What can be merged: the adapter on the values that a quantised base stands for."""
    if not quantised_layers(loaded.checkpoint) or not may_merge(loaded):
        return loaded
    base = dequantise(fresh_base(), dtype=loaded.checkpoint.dtype)
    return load_tuned(base, folder, loaded.tuning)


def _acts(tuned: TunedModel, logits: Logits) -> Proof:
    """The adapter, not the head alone, has an effect: the backbone's output depends on it."""
    with _last_hidden_states(tuned) as seen:
        logits(tuned)
        on = seen[-1]
        with tuned.adapter_off():
            logits(tuned)
        off = seen[-1]
    difference = float((on[:, -off.shape[1] :] - off).abs().max())
    return Proof(
        name="the adapter acts",
        held=difference > 0,
        found="Switching the adapter off changes the backbone's last hidden states by up to "
        f"{difference:.3g} (largest state {float(off.abs().max()):.3g}).",
        remedy="The head alone was trained. Look at the proofs of gradients and movement.",
    )


def _reloaded(tuned: TunedModel, loaded: TunedModel, trained: Tensor, again: Tensor) -> Proof:
    exact = MERGE_TOLERANCE if tuned.start else RELOAD_TOLERANCE
    held, found = _compare(trained, again, _tolerance(tuned, exact))
    if not held:
        stored = dict(loaded.model.named_parameters())
        lost = [
            name
            for name, tensor in tuned.model.named_parameters()
            if name in tuned.expected
            and not (name in stored and torch.equal(stored[name].to(tensor.device), tensor))
        ]
        found += f" Tensors that differ: {', '.join(lost[:4])} ({len(lost)} in all)."
    return _stored(held=held, found=f"Loaded again: {found}")


def _stored(*, held: bool, found: str) -> Proof:
    return Proof(
        name="the stored weights are the trained ones",
        held=held,
        found=found,
        remedy="Do not use what was stored. The head must be stored with the adapter "
        "(modules_to_save), and the checkpoint must be the one that was tuned.",
    )


def _merged(loaded: TunedModel, trained: Tensor, logits: Logits, limit: float) -> list[Proof]:
    """Merging, where PEFT can merge the method."""
    merged = merge(loaded)
    if merged is None:
        return []
    again = logits(TunedModel(merged, loaded.tuning, frozenset()))
    held, found = _compare(trained, again, limit)
    return [
        Proof(
            name="the merged model says the same",
            held=held,
            found=f"Merged into the checkpoint: {found}",
            remedy="Use the adapter on its checkpoint rather than a merged model.",
        )
    ]


def _tolerance(tuned: TunedModel, exact: float) -> float:
    return exact if tuned.checkpoint.dtype == torch.float32 else COARSE_TOLERANCE


def _compare(trained: Tensor, again: Tensor, tolerance: float) -> tuple[bool, str]:
    """Whether two sets of logits agree where both are finite (padding is -inf), and a sentence."""
    real = trained.isfinite()
    first, second = trained[real].double(), again[real].double()
    scale = float(first.abs().max())
    difference = float((first - second).abs().max())
    if difference == 0:
        return True, f"the same {first.numel()} logits, bit for bit."
    allowed = tolerance * scale
    return difference <= allowed, (
        f"{first.numel()} logits differ by up to {difference:.2g} (allowed {allowed:.2g}, "
        f"{tolerance:g} of the largest, {scale:.3g})."
    )


@contextmanager
def _last_hidden_states(tuned: TunedModel) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Any) -> None:
        seen.append(output[0].detach().float())

    handle = tuned.checkpoint.base_model.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
