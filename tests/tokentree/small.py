"""Decoders of a few thousand random parameters, one of each architecture, and trees for them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tunelab.prompts.encoded import EncodedExample

VOCABULARY = 97
WIDE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # large enough that attention is far from uniform
    "attention_dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
UNGROUPED: dict[str, Any] = {k: v for k, v in WIDE.items() if k != "num_key_value_heads"}
GEMMA: dict[str, Any] = WIDE | {
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 64,
    "final_logit_softcapping": 2.0,
}
GPT2: dict[str, Any] = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 128,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "initializer_range": 0.3,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": WIDE,
    "mistral": WIDE | {"sliding_window": None},
    "mixtral": WIDE | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
    "qwen2": WIDE,
    "qwen3": WIDE | {"head_dim": 12},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "phi": WIDE | {"resid_pdrop": 0.0, "embd_pdrop": 0.0},
    "phi3": WIDE | {"resid_pdrop": 0.0, "embd_pdrop": 0.0},
    "gpt2": GPT2,
    "gpt_neox": UNGROUPED | {"hidden_dropout": 0.0},
    "opt": UNGROUPED | {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0, "init_std": 0.3},
    "olmo2": WIDE,
    "granite": WIDE | {"logits_scaling": 3.0, "embedding_multiplier": 2.0},
    "smollm3": WIDE,
    "starcoder2": WIDE | {"sliding_window": None, "residual_dropout": 0.0},
    "stablelm": WIDE | {"hidden_dropout": 0.0},
    "cohere": WIDE | {"logit_scale": 0.25},
}
SLIDING: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 5},
    "mixtral": {"sliding_window": 5},
    "qwen2": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "qwen3": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "gemma2": {"sliding_window": 5},
    "gemma3_text": {
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "phi3": {"sliding_window": 5},
    "smollm3": {
        "use_sliding_window": True,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "starcoder2": {"sliding_window": 5},
}
"""What makes the windows of an architecture shorter than the trees below."""


def decoder(name: str, *, sliding: bool = False, seed: int = 0, **fields: Any) -> PreTrainedModel:
    """A model in evaluation mode; equal arguments give equal weights."""
    extra = SLIDING[name] if sliding else {}
    config = AutoConfig.for_model(name, **(ARCHITECTURES[name] | extra | fields))
    torch.manual_seed(seed)
    attention = "eager" if name == "gemma2" else "sdpa"  # its soft-capping needs eager attention
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def bloom() -> PreTrainedModel:
    """A model whose attention cannot express a tree."""
    fields = {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("bloom", **fields)).eval()


def output_weight(model: PreTrainedModel) -> torch.Tensor:
    layer = model.get_output_embeddings()
    assert layer is not None
    return layer.weight


def example(prompt: list[int], answer: list[int]) -> EncodedExample:
    targets = (False,) * len(prompt) + (True,) * len(answer)
    return EncodedExample((*prompt, *answer), targets)


PARAGRAPH = [1, 11, 12, 13, 14, 15, 16]
QUESTION = [*PARAGRAPH, 21, 22, 23]
EXAMPLES = [
    example(QUESTION, [31, 32, 2]),
    example(QUESTION, [31, 33, 34, 2]),
    example([*PARAGRAPH, 24, 25], [35, 2]),
    example([*PARAGRAPH, 24, 25], [35, 2]),
    example([*PARAGRAPH, 21, 26, 27, 28, 29], [36, 37, 2]),
    example([1, 41, 42], [43, 44, 2]),
    example([51, 52], [53, 2]),
]
"""Two paragraphs and a text without their beginning; alternatives; one example twice."""
