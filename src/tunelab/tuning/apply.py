"""A checkpoint and a tuning -> the model to train, and what of it should train.

What should train is told from what the method added to the checkpoint, not from `requires_grad`:
the proofs compare the two.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from tunelab.errors import TuningError
from tunelab.recipe.schema import (
    FullTuning,
    HeadTuning,
    LoraTuning,
    Model,
    NoTuning,
    PeftTuning,
    Precision,
    PrefixTuning,
    PromptTuning,
    Recipe,
    StackTuning,
    Tuning,
)
from tunelab.tuning.layers import head_names, is_decoder
from tunelab.tuning.methods import AdapterTuning, check_options, peft_config
from tunelab.tuning.model import TunedModel
from tunelab.tuning.prompted import Prompted, PromptedEncoder
from tunelab.tuning.stacking import load_stacked, refuse_encoder, stacked
from tunelab.tuning.storing import load_adapter, load_model, lora_matrices

_CHANGES_THE_BASE = ("pissa", "olora")


def apply_tuning(
    model: PreTrainedModel,
    tuning: Tuning,
    *,
    total_steps: int,
    seed: int,
    new_tokens: Sequence[int] = (),
) -> TunedModel:
    """Make `model` ready to be tuned; it is changed in place and belongs to the result.

    Args:
        model: a fresh checkpoint with the head of its task. One that came with the task, such as
            `qa_outputs`, is trained by every method; the output layer of a decoder by `head` and
            `full` alone (and with it the input embeddings, where they are tied to it).
        tuning: the method.
        total_steps: optimiser steps of the whole run, which AdaLoRA's schedule needs.
        seed: of the method's initialisation; the global random state is left as it was.
        new_tokens: ids whose embeddings are new to the checkpoint and have to be trained.

    Raises:
        TuningError: the method does not exist, does not know an option, does not fit the model, or
            cannot train new embeddings.
    """
    if new_tokens and not isinstance(tuning, NoTuning | FullTuning | LoraTuning | StackTuning):
        raise TuningError(
            f"'{tuning.kind}' leaves the embeddings as they are, but {len(new_tokens)} tokens are "
            "new to the checkpoint.",
            hint="Use tuning.kind=lora or full, or prompt.reasoning_tokens=0.",
        )
    match tuning:
        case NoTuning():
            model.requires_grad_(False)
            return TunedModel(model, tuning, frozenset())
        case FullTuning():
            model.requires_grad_(True)
            return TunedModel(model, tuning, _names(model))
        case HeadTuning():
            head = _head(model)
            for parameter in model.parameters():
                parameter.requires_grad_(id(parameter) in head)
            return TunedModel(
                model,
                tuning,
                frozenset(name for name, value in model.named_parameters() if id(value) in head),
            )
        case StackTuning(parts=(lora, virtual)):
            refuse_encoder(model)
            beneath = _adapt(model, lora, total_steps=total_steps, seed=seed, new_tokens=new_tokens)
            config = peft_config(model, virtual, total_steps=total_steps)
            with _seeded(seed), _told_by_peft(model, virtual), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PEFT is wary of a second adapter
                return stacked(beneath, cast("PeftModel", get_peft_model(model, config)), tuning)
        case LoraTuning() | PrefixTuning() | PromptTuning() | PeftTuning():
            return _adapt(model, tuning, total_steps=total_steps, seed=seed, new_tokens=new_tokens)


def model_to_load(recipe: Recipe, stored: Path | None) -> Model:
    """The checkpoint that a run reads, in the precision it trains on or scores in.

    Args:
        recipe: resolved.
        stored: the folder of what was trained, where that is to answer; a whole model is read from
            there itself.
    """
    [precision] = recipe.evaluation.quantize or (recipe.model.quantize,)
    changes: dict[str, object] = {"quantize": precision}
    if stored is not None and isinstance(recipe.tuning, FullTuning | HeadTuning):
        changes |= {"path": str(stored), "revision": None}
    return recipe.model.model_copy(update=changes)


def load_stored(model: PreTrainedModel, stored: Path, tuning: Tuning) -> TunedModel:
    """Put what was trained onto what `model_to_load` named, to be scored.

    Raises:
        RecordError: the folder holds no stored weights.
    """
    if isinstance(tuning, FullTuning | HeadTuning):  # it was loaded from there
        return TunedModel(model.requires_grad_(False), tuning, frozenset())
    return load_tuned(model, stored, tuning)


def load_tuned(model: PreTrainedModel, folder: Path, tuning: Tuning) -> TunedModel:
    """Put what `TunedModel.save` wrote onto a fresh checkpoint, ready to be evaluated.

    Args:
        model: the checkpoint as it was before tuning; changed in place.
        folder: what `TunedModel.save` returned.
        tuning: the method that was.

    Raises:
        RecordError: the folder holds no stored weights.
    """
    if isinstance(tuning, StackTuning):
        return load_stacked(model, folder, tuning)
    device = model.device
    loaded = _loaded(model, folder, tuning).to(device).requires_grad_(False).eval()
    return TunedModel(loaded, tuning, frozenset())


def check_tuning(tuning: Tuning, precision: Precision) -> None:
    """Refuse what no model can make right: unknown methods and options, or a base in few bits
    for a method that would have to change it.

    Raises:
        TuningError: with what is allowed.
    """
    if isinstance(tuning, PeftTuning):
        check_options(tuning)
    if precision == "none":
        return
    if isinstance(tuning, FullTuning | HeadTuning):
        raise TuningError(
            f"tuning.kind={tuning.kind} stores the whole model, but the weights of a base with "
            f"model.quantize={precision} are integers, which no gradient can move.",
            hint="Train an adapter on it, such as tuning.kind=lora or prefix, or set "
            "model.quantize=none.",
        )
    lora = tuning.parts[0] if isinstance(tuning, StackTuning) else tuning
    if isinstance(lora, LoraTuning) and lora.init in _CHANGES_THE_BASE:
        raise TuningError(
            f"tuning.init={lora.init} moves a part of the weights into the adapter, which a base "
            f"with model.quantize={precision} cannot give up.",
            hint="Use tuning.init=default, or model.quantize=none.",
        )


def _adapt(
    model: PreTrainedModel,
    tuning: AdapterTuning,
    *,
    total_steps: int,
    seed: int,
    new_tokens: Sequence[int],
) -> TunedModel:
    config = peft_config(model, tuning, total_steps=total_steps, new_tokens=new_tokens)
    checkpoint = list(model.parameters())  # kept alive, so that no identity is used twice
    with _seeded(seed), _told_by_peft(model, tuning):
        adapted = get_peft_model(model, config)
        moved = isinstance(tuning, LoraTuning) and tuning.init in _CHANGES_THE_BASE
        start = lora_matrices(adapted) if moved else {}
    whole = _runnable(adapted)
    return TunedModel(whole, tuning, _expected(whole, tuning, checkpoint), start)


def _expected(
    model: nn.Module, tuning: AdapterTuning, checkpoint: Sequence[nn.Parameter]
) -> frozenset[str]:
    """All that LoRA, prefix and prompt tuning added; of other methods, what PEFT says.

    Integers are the base's, whoever made their tensor anew (DoRA does, on a CPU).
    Those others may add frozen tensors of their own, such as AdaLoRA's count of ranks.
    """
    known = {id(parameter) for parameter in checkpoint}
    return frozenset(
        name
        for name, parameter in model.named_parameters()
        if (
            parameter.requires_grad
            if isinstance(tuning, PeftTuning)
            else id(parameter) not in known and parameter.is_floating_point()
        )
    )


def _loaded(model: PreTrainedModel, folder: Path, tuning: Tuning) -> nn.Module:
    match tuning:
        case NoTuning():
            return model
        case FullTuning() | HeadTuning():
            return load_model(folder, like=model)
        case _:
            return _runnable(load_adapter(model, folder))


def _runnable(adapted: PeftModel) -> nn.Module:
    """The module to train: the PEFT model itself, or what knows its virtual tokens."""
    if not adapted.active_peft_config.is_prompt_learning:
        return adapted
    decoder = is_decoder(cast("PreTrainedModel", adapted.get_base_model()))
    return Prompted(adapted) if decoder else PromptedEncoder(adapted)


def _head(model: PreTrainedModel) -> set[int]:
    """Identities, since tied weights go by one of their names only."""
    return {
        id(parameter)
        for name in head_names(model)
        for parameter in model.get_submodule(name).parameters()
    }


def _names(model: nn.Module) -> frozenset[str]:
    return frozenset(name for name, _ in model.named_parameters())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _told_by_peft(model: PreTrainedModel, tuning: AdapterTuning) -> Iterator[None]:
    """PEFT refuses what does not fit with every kind of exception; here it becomes one."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise TuningError(
            f"PEFT cannot apply '{tuning.kind}' to {type(model).__name__}: "
            f"{type(error).__name__}: {error}",
            hint="Change tuning.options, or choose another method: `tunelab methods` lists them.",
        ) from error
