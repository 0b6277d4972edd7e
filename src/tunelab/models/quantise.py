"""Quantised bases: what a recipe may ask for, and how transformers is told.

    int8       bitsandbytes, LLM.int8() (arXiv 2208.07339): activations are quantised too
    nf4        bitsandbytes, 4-bit normal floats in blocks of 64 (QLoRA, arXiv 2305.14314)
    gptq-int4  llmcompressor's GPTQ (arXiv 2210.17323), groups of 128: models/quantise_gptq.py
    gptq-int8  likewise, one scale a row

The linear layers of the backbone are quantised; embeddings, normalisations and the head are not.
What a base truly holds is measured in models/quantise_held.py.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel

from tunelab.errors import ModelError
from tunelab.recipe import Model, Precision

NOMINAL_BITS: dict[Precision, int] = {"int8": 8, "nf4": 4, "gptq-int4": 4, "gptq-int8": 8}
"""Bits of a weight; scales come on top."""
GROUP = 128
"""Weights of a row that share a scale under gptq-int4."""
PACKED_PAIRS = 2
_NF4_BLOCK = 64
_PACKAGES = {"int8": "quant", "nf4": "quant", "gptq-int4": "gptq", "gptq-int8": "gptq"}
_NEEDED = {"quant": ("bitsandbytes",), "gptq": ("llmcompressor", "compressed_tensors")}


def check_installed(precision: Precision) -> None:
    """Refuse a precision whose packages are missing.

    Raises:
        ModelError: with the command that installs them.
    """
    if precision == "none":
        return
    extra = _PACKAGES[precision]
    missing = [name for name in _NEEDED[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"model.quantize={precision} needs {' and '.join(missing)}, which is not installed.",
            hint=f"pip install 'tunelab[{extra}]'",
        )


def stored_precision(config: PretrainedConfig) -> str | None:
    """What a checkpoint is quantised in: one of ours, or another library's name; None if not."""
    told = config.to_dict().get("quantization_config")
    if told is None:
        return None
    told = told if isinstance(told, dict) else told.to_dict()
    if told.get("load_in_8bit"):
        return "int8"
    if told.get("load_in_4bit") and told.get("bnb_4bit_quant_type") == "nf4":
        return "nf4"
    method = str(told.get("quant_method", "unknown"))
    return _gptq_precision(told) if method == "compressed-tensors" else method


def _gptq_precision(told: dict[str, Any]) -> str:
    """What compressed-tensors holds: a precision of ours where it is packed integers alone."""
    groups = [group for group in (told.get("config_groups") or {}).values() if group]
    weights = [group.get("weights") or {} for group in groups]
    ours = told.get("format") == "pack-quantized" and all(
        each.get("num_bits") in (4, 8)
        and each.get("symmetric")
        and each.get("actorder") != "group"
        and not group.get("input_activations")
        for each, group in zip(weights, groups, strict=True)
    )
    bits = {each.get("num_bits") for each in weights}
    return f"gptq-int{bits.pop()}" if ours and len(bits) == 1 else "compressed-tensors"


def refuse_other_precision(settings: Model, config: PretrainedConfig) -> None:
    """A checkpoint that is quantised already must be asked for as what it is.

    Raises:
        ModelError: it is quantised, and in another format than the recipe says.
    """
    stored = stored_precision(config)
    if stored is None or stored == settings.quantize:
        return
    if stored in NOMINAL_BITS:
        hint = f"Say model.quantize={stored} to use it as it is, or choose the unquantised one."
    else:
        hint = (
            "Choose the unquantised checkpoint; tunelab quantises it itself with model.quantize="
            f"{', '.join(NOMINAL_BITS)}. Quantised ones are read as bitsandbytes and llmcompressor "
            "write them in these formats."
        )
    raise ModelError(
        f"The checkpoint '{settings.path}' is already quantised ({stored}), but model.quantize is "
        f"{settings.quantize}.",
        hint=hint,
    )


def refuse_widths(model: nn.Module, names: list[str], settings: Model) -> None:
    """Refuse linear layers that the blocks of a format do not divide.

    Args:
        names: full names of the layers that would be quantised.

    Raises:
        ModelError: naming the first such layer.
    """
    step = {"nf4": PACKED_PAIRS, "gptq-int4": GROUP}.get(settings.quantize, 1)
    for name in names:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        if layer.in_features % step:
            raise ModelError(
                f"model.quantize={settings.quantize} needs layers whose inputs divide by {step}, "
                f"but {name} of '{settings.path}' has {layer.in_features}.",
                hint="Use model.quantize=int8 or nf4, or another checkpoint.",
            )


def bitsandbytes_config(settings: Model, *, head: list[str]) -> BitsAndBytesConfig:
    """What transformers is told for int8 and nf4; the modules in `head` stay as they are."""
    match settings.quantize:
        case "int8":
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=head)
        case "nf4":
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=settings.double_quant,
                bnb_4bit_compute_dtype=torch.float32 if settings.dtype == "f32" else torch.bfloat16,
                llm_int8_skip_modules=head,
            )
        case other:
            raise ValueError(f"bitsandbytes has no {other}")


def keep_format(model: nn.Module) -> None:
    """Keep bitsandbytes' layers as they were loaded, in training and in evaluation.

    On a processor with bfloat16 4-bit layers would be packed anew for evaluation, in place, and
    computed in bfloat16 whatever the recipe says.
    """
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
        if isinstance(module, Linear8bitLt):
            module.register_forward_pre_hook(_keep_scales)


def _keep_scales(layer: Any, _inputs: object) -> None:
    """Use the scales that a layer has: PEFT's DoRA hands it a weight without any, on a CPU."""
    if layer.weight.SCB is None:
        layer.weight.CB = None  # else the layer would take its scales from there


def forget_quantiser(model: PreTrainedModel) -> None:
    """Make transformers and PEFT see a plain model, once its layers are no library's any more."""
    marks = ("is_loaded_in_4bit", "is_loaded_in_8bit", "is_quantized", "hf_quantizer")
    for name in (*marks, "quantization_method"):
        vars(model).pop(name, None)
    vars(model.config).pop("quantization_config", None)


def skeleton(auto_class: Any, config: PretrainedConfig) -> PreTrainedModel:
    """A model without weights, to read its structure."""
    with torch.device("meta"):
        return auto_class.from_config(config)


def outside_backbone(model: PreTrainedModel) -> list[str]:
    """Names of the modules that stay as they are: the head of the task."""
    return [name for name, child in model.named_children() if child is not model.base_model]


def backbone_linears(model: PreTrainedModel) -> list[str]:
    """Full names of the linear layers that are quantised."""
    outside = tuple(f"{name}." for name in outside_backbone(model))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not f"{name}.".startswith(outside)
    ]
