"""The decoders that are written as GGUF: what llama.cpp calls their parts, and what it computes.

A checkpoint is refused where llama.cpp would compute something else with it. Names of tensors are
those of the `gguf` package; the facts about rotary embeddings are those of llama.cpp's own
`conversion/` scripts (v0.5.0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from tunelab.errors import ModelError


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder as llama.cpp knows it."""

    name: str
    """The first part of its keys."""
    adjacent: bool
    """It rotates neighbours (0, 1), (2, 3), ... of a head; transformers rotates (0, d/2), ..."""
    any_bias: bool
    """Every linear layer may have a bias; otherwise queries, keys and values alone."""


ARCHITECTURES: dict[str, Architecture] = {
    "LlamaForCausalLM": Architecture("llama", adjacent=True, any_bias=True),
    "MistralForCausalLM": Architecture("llama", adjacent=True, any_bias=True),
    "Qwen2ForCausalLM": Architecture("qwen2", adjacent=False, any_bias=False),
    "Qwen3ForCausalLM": Architecture("qwen3", adjacent=False, any_bias=False),
}
"""By the class that transformers loads."""

_SCALINGS: dict[str, frozenset[str]] = {
    "default": frozenset(),
    "linear": frozenset({"factor"}),
    "llama3": frozenset(
        {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}
    ),
    "yarn": frozenset({"factor", "beta_fast", "beta_slow", "original_max_position_embeddings"}),
}
"""Stretched rotary embeddings, with the constants that llama.cpp reads."""
_INSTEAD = "Export the merged model, which transformers loads: --format merged."


def find_architecture(config: PretrainedConfig) -> Architecture:
    """How llama.cpp runs the model of a configuration.

    Raises:
        ModelError: it does not, or not in the same way.
    """
    [name, *_] = config.architectures or ["a model that names no class"]
    found = ARCHITECTURES.get(name)
    if found is None:
        raise ModelError(
            f"{name} cannot be written as GGUF. Supported: {', '.join(ARCHITECTURES)}.",
            hint=_INSTEAD,
        )
    told = config.to_dict()
    rope = _rope(config)
    known = {"rope_type", "rope_theta", "type"} | _SCALINGS.get(rope["rope_type"], set())
    missed: list[str] = []
    if told["hidden_act"] != "silu":
        missed.append(f"hidden_act={told['hidden_act']}, and llama.cpp computes silu")
    if rope["rope_type"] not in _SCALINGS:
        missed.append(f"rope_type={rope['rope_type']}; written are {', '.join(_SCALINGS)}")
    elif strange := sorted(rope.keys() - known):
        missed.append(f"{', '.join(strange)} in rope_parameters")
    if "sliding_attention" in (told.get("layer_types") or ()):
        missed.append("layers with a sliding window")
    if told.get("attention_bias") and not found.any_bias:
        missed.append("biases behind attention")
    if missed:
        raise ModelError(
            f"This {name} cannot be written as GGUF: it has {'; '.join(missed)}.", hint=_INSTEAD
        )
    return found


def describe(writer: Any, config: PretrainedConfig, *, rows: int) -> tuple[str, ...]:
    """Write the sizes and constants of a model as keys.

    Args:
        writer: a `gguf.GGUFWriter` of the architecture's name.
        config: the model's.
        rows: of the embedding.

    Returns:
        What a user must know.
    """
    from gguf import RopeScalingType

    told = config.to_dict()
    width, heads = told["hidden_size"], told["num_attention_heads"]
    head = told.get("head_dim") or width // heads
    length, window = told["max_position_embeddings"], told.get("sliding_window")
    writer.add_vocab_size(rows)
    writer.add_context_length(min(length, window or length))
    writer.add_embedding_length(width)
    writer.add_block_count(told["num_hidden_layers"])
    writer.add_feed_forward_length(told["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(told["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(told["rms_norm_eps"])
    writer.add_rope_dimension_count(head)
    rope = _rope(config)
    writer.add_rope_freq_base(rope["rope_theta"])
    match rope["rope_type"]:
        case "linear":
            writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        case "yarn":
            writer.add_rope_scaling_type(RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope["factor"])
            before = rope.get("original_max_position_embeddings") or length
            writer.add_rope_scaling_orig_ctx_len(before)
            writer.add_rope_scaling_yarn_beta_fast(rope.get("beta_fast") or 32.0)
            writer.add_rope_scaling_yarn_beta_slow(rope.get("beta_slow") or 1.0)
        case _:
            pass  # none, or `rotary_factors`
    if window and window < length:
        return (
            f"It attends to the last {window:,} tokens, which llama.cpp does not do for this "
            "architecture: the file's context length is set to that.",
        )
    return ()


def rotary_factors(config: PretrainedConfig) -> Tensor | None:
    """What llama.cpp divides the frequencies of Llama 3.1 by, (head size / 2,); None for others.

    Short waves stay, long ones are stretched by `factor`, and those between by a mix of both
    (transformers, `modeling_rope_utils._compute_llama3_parameters`).
    """
    rope = _rope(config)
    if rope["rope_type"] != "llama3":
        return None
    told = config.to_dict()
    head = told.get("head_dim") or told["hidden_size"] // told["num_attention_heads"]
    places = torch.arange(0, head, 2, dtype=torch.float32) / head
    waves = 2 * math.pi * rope["rope_theta"] ** places
    before = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    mix = ((before / waves - low) / (high - low)).clamp(0, 1)
    return 1 / ((1 - mix) / rope["factor"] + mix)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A tensor of a checkpoint as llama.cpp knows it."""

    name: str
    heads: int | None
    """Heads whose rows change places; None: rows stay."""

    def reorder(self, tensor: Tensor) -> Tensor:
        """From transformers' rows to llama.cpp's: the halves of every head are interleaved."""
        if self.heads is None:
            return tensor
        return (
            tensor.reshape(self.heads, 2, -1, *tensor.shape[1:]).swapaxes(1, 2).reshape_as(tensor)
        )

    def restore(self, tensor: Tensor) -> Tensor:
        """From llama.cpp's rows to transformers'."""
        if self.heads is None:
            return tensor
        parts = tensor.reshape(self.heads, -1, 2, *tensor.shape[1:])
        return parts.swapaxes(1, 2).reshape_as(tensor)


def rename(
    architecture: Architecture, config: PretrainedConfig, names: Iterable[str]
) -> dict[str, Renamed]:
    """What llama.cpp calls the tensors of a checkpoint.

    Raises:
        ModelError: it knows no such tensor.
    """
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    told = config.to_dict()
    [kind] = [kind for kind, known in MODEL_ARCH_NAMES.items() if known == architecture.name]
    table = get_tensor_name_map(kind, told["num_hidden_layers"])
    heads: dict[str, int] = {}
    if architecture.adjacent:
        heads = {"q_proj": told["num_attention_heads"], "k_proj": told["num_key_value_heads"]}
    renamed: dict[str, Renamed] = {}
    for name in names:
        found = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ModelError(f"llama.cpp has no place for the weights '{name}'.", hint=_INSTEAD)
        renamed[name] = Renamed(found, heads.get(name.split(".")[-2]))
    return renamed


def _rope(config: PretrainedConfig) -> dict[str, Any]:
    return {"rope_type": "default"} | config.to_dict()["rope_parameters"]
