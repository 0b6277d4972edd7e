"""What was trained, on disk: adapters that PEFT loads, models that transformers loads.

Always safetensors. An adapter fits the checkpoint as it was before tuning, whatever the method did
to it on the way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from tunelab.errors import RecordError, StorageError
from tunelab.records.files import storage_errors


def store_model(model: PreTrainedModel, folder: Path) -> None:
    """Write a whole model for `from_pretrained`.

    Raises:
        StorageError: the disk is full or not writable.
    """
    with _written(folder):
        model.save_pretrained(folder)


def store_adapter(adapted: PeftModel, folder: Path, *, start: dict[str, Tensor]) -> None:
    """Write an adapter, with the head, for `PeftModel.from_pretrained`.

    Where the method moved a part of the checkpoint into A and B (PiSSA, OLoRA), `start` holds them
    as they were, and plain LoRA of twice the rank is stored, which fits the checkpoint as it was:

        W + s(BA - B0A0) = W + s[B, -B0][A; A0]

    Raises:
        StorageError: the disk is full or not writable.
    """
    with _written(folder):
        adapted.save_pretrained(str(folder), save_embedding_layers=False)
        if start:
            _rewrite_as_plain_lora(adapted, folder, start)


def load_model(folder: Path, *, like: PreTrainedModel) -> PreTrainedModel:
    """Read what `store_model` wrote.

    Args:
        folder: what it wrote to.
        like: a model of the kind; its class, its dtype and its attention are taken. Left to
            itself transformers may choose another attention, which drops Gemma 2's cap on scores.

    Raises:
        RecordError: the folder holds no weights.
    """
    _require(folder, "*.safetensors")
    return type(like).from_pretrained(
        folder,
        dtype=like.dtype,
        attn_implementation=like.config._attn_implementation,
        use_safetensors=True,
    )


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Put what `store_adapter` wrote onto a fresh checkpoint, which is changed in place.

    Raises:
        RecordError: the folder holds no weights, too few, or those of another checkpoint.
    """
    _require(folder, SAFETENSORS_WEIGHTS_NAME)
    try:
        return PeftModel.from_pretrained(model, str(folder))
    except (KeyError, RuntimeError, ValueError) as error:
        raise RecordError(
            f"The adapter in {folder} does not fit {type(model).__name__}, or lacks weights: "
            f"{type(error).__name__}: {error}.",
            hint="Give the checkpoint it was trained on; run again if the file was damaged.",
        ) from error


def lora_matrices(adapted: PeftModel) -> dict[str, Tensor]:
    """A and B of every adapted layer, copied, under the names they are stored by."""
    return {
        name: tensor.detach().clone()
        for name, tensor in _stored_tensors(adapted).items()
        if ".lora_A." in name or ".lora_B." in name
    }


def _rewrite_as_plain_lora(adapted: PeftModel, folder: Path, start: dict[str, Tensor]) -> None:
    tensors = _stored_tensors(adapted)
    for name, before in start.items():
        now, before = tensors[name].cpu(), before.cpu()
        both = torch.cat((now, before)) if ".lora_A." in name else torch.cat((now, -before), dim=1)
        tensors[name] = both.contiguous()
    config = copy.deepcopy(cast("LoraConfig", adapted.active_peft_config))
    config.init_lora_weights = True
    config.inference_mode = True
    config.r *= 2
    # alpha / r (or alpha / sqrt(r)) must stay what it was during training
    config.lora_alpha *= cast("int", 2**0.5) if config.use_rslora else 2
    save_file(tensors, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def _stored_tensors(adapted: PeftModel) -> dict[str, Tensor]:
    return get_peft_model_state_dict(adapted, save_embedding_layers=False)


def _require(folder: Path, pattern: str) -> None:
    if not any(folder.glob(pattern)):
        raise RecordError(
            f"{folder} holds no {pattern}.",
            hint="The run did not store its weights; run it again in an empty directory.",
        )


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        with storage_errors(folder):
            yield
    except SafetensorError as error:
        raise StorageError(
            f"Could not write the weights to {folder}: {error}.",
            hint="Free some space and run the same command again.",
        ) from error
