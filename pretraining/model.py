"""The architecture of `tiny`, and the random weights that its training starts from."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pretraining.vocabulary import BOS, CONTEXT, EOS, PAD, SPECIAL

_SPREAD = 0.05
"""Standard deviation of the first weights; with the usual 0.02 copying begins much later."""
_OWN = 0.5
"""An embedding's own part, beside the part that forms of a word have in common."""
SPACE = "Ġ"
"""How the vocabulary writes a space before a word."""


def configuration(tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    """Widths are multiples of 256, so that every quantiser takes them."""
    return LlamaConfig(
        vocab_size=-(-len(tokenizer) // 256) * 256,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        initializer_range=_SPREAD,
        bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(EOS),
        pad_token_id=SPECIAL.index(PAD),
    )


def first_model(tokenizer: PreTrainedTokenizerBase, *, seed: int) -> LlamaForCausalLM:
    """Random weights, in float32; a word has much the same embedding whatever stands before it.

    So what is copied from within a line can be written at the beginning of one.
    """
    torch.manual_seed(seed)
    model = LlamaForCausalLM(configuration(tokenizer))
    table = model.model.embed_tokens.weight.detach()
    by_index = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    first = {text.removeprefix(SPACE).casefold(): index for text, index in reversed(by_index)}
    like = torch.tensor([first[text.removeprefix(SPACE).casefold()] for text, _ in by_index])
    own = table[: len(like)].clone()
    table[: len(like)] = (own[like] + _OWN * own) / math.sqrt(1 + _OWN**2)
    return model


def take_over(model: LlamaForCausalLM, folder: Path) -> None:
    """Begin with a model of fewer layers; those behind add nothing to what it says, at first."""
    smaller = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    known = smaller.state_dict()
    with torch.no_grad():
        model.load_state_dict(known, strict=False)
        for name, weight in model.named_parameters():
            if name not in known and name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
