"""Loads an extractive question-answering model and its tokenizer.

Safetensors only, no remote code. The head of a plain encoder is new: its weights are drawn from
the recipe's seed, and nothing but the head may be new.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, assert_never

import torch
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from tunelab.errors import ModelError
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.recipe import Model


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model that reads both ways and points at spans, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fresh_head: bool
    """The head was not in the checkpoint: its weights are random."""

    @property
    def pad_id(self) -> int:
        """The padding token; never attended to, so its choice changes nothing."""
        known = self.tokenizer.pad_token_id
        return known if isinstance(known, int) else 0


def load_encoder(settings: Model, *, seed: int) -> Encoder:
    """Load the checkpoint of a recipe; equal seeds give equal heads.

    Raises:
        ModelError: the checkpoint is missing, is no encoder for question answering, needs pickled
            weights, lacks weights other than the head's, or reads fewer than `max_length` tokens.
    """
    tokenizer = load_tokenizer(settings)
    source = resolve_checkpoint(settings.path)
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a new head is told in the manifest, not as a warning
    torch.manual_seed(seed)
    try:
        model, info = AutoModelForQuestionAnswering.from_pretrained(
            source,
            config=_config(source, settings),
            revision=settings.revision or "main",
            dtype=_dtype(settings),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise _cannot_load(settings, error) from error
    inside = f"{model.base_model_prefix}."  # what lies outside is the head
    missing = {name for name in info["missing_keys"] if name.startswith(inside)}
    if missing:
        raise ModelError(
            f"The checkpoint '{settings.path}' lacks {len(missing)} weights that the model needs, "
            f"the first is {min(missing)}.",
            hint="It is no complete encoder for question answering; choose another.",
        )
    positions = model.config.to_dict().get("max_position_embeddings")
    if positions and settings.max_length > positions:
        raise ModelError(
            f"model.max_length is {settings.max_length}, but '{settings.path}' reads at most "
            f"{positions} tokens.",
            hint=f"Set model.max_length={positions} or less.",
        )
    return Encoder(model, tokenizer, fresh_head=bool(info["missing_keys"]))


def load_tokenizer(settings: Model) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a checkpoint: offsets need a fast one."""
    source = resolve_checkpoint(settings.path)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            source, revision=settings.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise _cannot_load(settings, error) from error
    if not tokenizer.is_fast or tokenizer.cls_token_id is None:
        raise ModelError(
            f"The tokenizer of '{settings.path}' cannot be used: tunelab needs a fast tokenizer "
            "with character offsets and a [CLS] token.",
            hint="Choose an encoder such as distilbert-base-uncased.",
        )
    return tokenizer


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and values of all parameters."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _config(source: str, settings: Model) -> PretrainedConfig:
    """The checkpoint's configuration, with the dropout rates that the recipe asks for."""
    config: PretrainedConfig = AutoConfig.from_pretrained(
        source, revision=settings.revision or "main", trust_remote_code=False
    )
    if settings.dropout is not None:
        rates = [k for k, v in config.to_dict().items() if "dropout" in k and isinstance(v, float)]
        config.update(dict.fromkeys(rates, settings.dropout))
    return config


def _dtype(settings: Model) -> torch.dtype:
    match settings.dtype:
        case "f32" | "bf16":
            return torch.float32
        case "bf16-true":
            return torch.bfloat16
        case _:
            assert_never(settings.dtype)


def _cannot_load(settings: Model, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0]
    return ModelError(
        f"The model '{settings.path}' cannot be loaded: {reason}",
        hint="Without a network, use a bundled name (minilm) or a folder with config.json, "
        "tokenizer.json and model.safetensors. Pickled weights are refused.",
    )
