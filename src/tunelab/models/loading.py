"""What loading an encoder and loading a decoder have in common.

Safetensors only, no remote code.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any, Literal, assert_never

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from tunelab.errors import ModelError
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.models.quantise import (
    backbone_linears,
    bitsandbytes_config,
    check_installed,
    keep_format,
    outside_backbone,
    refuse_other_precision,
    refuse_widths,
    skeleton,
    stored_precision,
)
from tunelab.models.quantise_gptq import Calibration, gptq_base, pack_layers
from tunelab.recipe import Model

Reading = Literal["both ways", "left to right"]


def reading_direction(settings: Model) -> Reading:
    """How the checkpoint reads: encoders both ways, decoders left to right.

    Told from the class that it was saved as; where it does not say, from its model type.
    """
    return direction_of(load_config(settings))


def direction_of(config: PretrainedConfig) -> Reading:
    """How a model of this configuration reads; see `reading_direction`."""
    saved_as = config.architectures or []
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in saved_as):
        return "left to right"
    causal = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    if not saved_as and causal and type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        return "left to right"
    return "both ways"


def load_config(settings: Model) -> PretrainedConfig:
    """The checkpoint's configuration, with the dropout rates that the recipe asks for.

    Raises:
        ModelError: the checkpoint is missing or has no readable configuration.
    """
    source = resolve_checkpoint(settings.path)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            source, revision=settings.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise cannot_load(settings, error) from error
    if settings.dropout is not None:
        rates = [k for k, v in config.to_dict().items() if _is_dropout(k, v)]
        config.update(dict.fromkeys(rates, settings.dropout))
    return config


LONGEST = 4096
"""Tokens that a model of unknown or very long range is given, where nobody says how many."""


def readable_length(settings: Model) -> int:
    """Tokens that a checkpoint reads, up to a limit, whatever the settings say."""
    config = load_config(settings).get_text_config().to_dict()
    known = [config.get(name) for name in ("max_position_embeddings", "n_positions")]
    return min([*(each for each in known if isinstance(each, int)), LONGEST])


def load_weights(
    auto_class: Any,
    settings: Model,
    *,
    seed: int,
    calibration: Calibration | None = None,
    labels: Sequence[str] = (),
) -> tuple[PreTrainedModel, frozenset[str]]:
    """A model of one of transformers' auto classes, and the names of the weights that are new.

    New weights are drawn from the seed.

    Args:
        auto_class: such as `AutoModelForCausalLM`.
        settings: the checkpoint, and the precision that its backbone is held in.
        seed: of new weights.
        calibration: what a GPTQ base is made with, if it is not there yet.
        labels: the classes of a classification head.

    Raises:
        ModelError: the checkpoint is missing, does not fit the class, needs pickled weights, or
            cannot be held in the precision that is asked for.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what is new is told by the callers, not as a warning
    check_installed(settings.quantize)
    torch.manual_seed(seed)
    config = load_config(settings)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    match settings.quantize:
        case "none":
            model, missing = _from_pretrained(auto_class, settings, config, quantization=None)
        case "int8" | "nf4":
            structure = skeleton(auto_class, config)
            if stored_precision(config) is None:
                refuse_widths(structure, backbone_linears(structure), settings)
            model, missing = _from_pretrained(
                auto_class,
                settings,
                config,
                quantization=bitsandbytes_config(settings, head=outside_backbone(structure)),
            )
            keep_format(model)
        case "gptq-int4" | "gptq-int8":
            model, missing = _load_gptq(auto_class, settings, config, calibration)
        case _:
            assert_never(settings.quantize)
    positions = model.config.to_dict().get("max_position_embeddings")
    if positions and settings.max_length > positions:
        raise ModelError(
            f"model.max_length is {settings.max_length}, but '{settings.path}' reads at most "
            f"{positions} tokens.",
            hint=f"Set model.max_length={positions} or less.",
        )
    return model, missing


def _load_gptq(
    auto_class: Any, settings: Model, config: PretrainedConfig, calibration: Calibration | None
) -> tuple[PreTrainedModel, frozenset[str]]:
    """A checkpoint that is quantised already, or its quantised twin, in our own layers."""
    if auto_class is not AutoModelForCausalLM:
        raise ModelError(
            f"model.quantize={settings.quantize} is for decoders, but '{settings.path}' is none.",
            hint="Use model.quantize=int8 or nf4.",
        )
    if stored_precision(config) is None:
        structure = skeleton(auto_class, config)
        refuse_widths(structure, backbone_linears(structure), settings)
        folder = gptq_base(settings, calibration, load_any_tokenizer(settings))
        settings = settings.model_copy(update={"path": str(folder), "revision": None})
        config = load_config(settings)
    with redirect_stderr(io.StringIO()):  # two bars at every load, however small
        model, missing = _from_pretrained(auto_class, settings, config, quantization=None)
    return pack_layers(model, dtype=_dtype(settings)), missing


def _from_pretrained(
    auto_class: Any,
    settings: Model,
    config: PretrainedConfig,
    *,
    quantization: BitsAndBytesConfig | None,
) -> tuple[PreTrainedModel, frozenset[str]]:
    """The model, and the names of the weights that its checkpoint lacks."""
    refuse_other_precision(settings, config)
    if stored_precision(config) is not None:
        quantization = None  # the checkpoint's own is in its configuration
    try:
        model, info = auto_class.from_pretrained(
            resolve_checkpoint(settings.path),
            config=config,
            attn_implementation=_attention(config),
            revision=settings.revision or "main",
            dtype=_dtype(settings),
            quantization_config=quantization,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise cannot_load(settings, error) from error
    return model, frozenset(info["missing_keys"])


def _attention(config: PretrainedConfig) -> str | None:
    """None leaves it to transformers, whose fused attention drops the cap on scores of Gemma 2."""
    capped = config.get_text_config().to_dict().get("attn_logit_softcapping")
    return "eager" if capped else None


def refuse_missing(settings: Model, missing: frozenset[str], *, wanted: str) -> None:
    """Refuse a checkpoint that lacks weights.

    Raises:
        ModelError: `missing` is not empty.
    """
    if missing:
        raise ModelError(
            f"The checkpoint '{settings.path}' lacks {len(missing)} weights that the model needs, "
            f"the first is {min(missing)}.",
            hint=f"It is no complete {wanted}; choose another.",
        )


def load_any_tokenizer(settings: Model) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a checkpoint.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    source = resolve_checkpoint(settings.path)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, revision=settings.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise cannot_load(settings, error) from error
    return tokenizer


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and values of all parameters."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cannot_load(settings: Model, error: Exception) -> ModelError:
    """transformers' reason, in one line, with what to do."""
    reason = str(error).strip().splitlines()[0]
    return ModelError(
        f"The model '{settings.path}' cannot be loaded: {reason}",
        hint="Without a network, use a bundled name (`tunelab models` lists them) or a folder with "
        "config.json, tokenizer.json and model.safetensors. Pickled weights are refused.",
    )


def _is_dropout(name: str, value: object) -> bool:
    known = "dropout" in name or name.endswith(("_pdrop", "_drop"))
    return known and isinstance(value, float)


def _dtype(settings: Model) -> torch.dtype:
    match settings.dtype:
        case "f32" | "bf16":
            return torch.float32
        case "bf16-true":
            return torch.bfloat16
        case _:
            assert_never(settings.dtype)
