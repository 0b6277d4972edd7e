"""The model before its first step: what is cheap to know is put in, the rest is random.

A small decoder needs long to find out by itself that it can look for a word and copy what stands
beside it. So the weights begin near the parts of that skill; every one of them is trained on.

- Words that look alike start alike: a token's embedding is made of its letters, with and without
  a leading space and whatever its case, plus a part of its own; numbers have their own part only.
- In the first layer some heads look at the token before, the two before, and so on, and write
  what they find beside the token's own content. One coordinate of the residual stream is the
  same for all tokens; queries and keys made of it depend on the distance alone (RoPE).
- The first layer's MLP turns the stream: what has been read is kept in a turned code, so that
  a token does not announce itself as the next one, as tied embeddings would have it.
- In the layers above queries and keys begin equal (what resembles attracts), and what is read
  is written turned back, as the embedding of the next token: so attention copies. Half of the
  heads look for the token whose predecessor is the present one (induction).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaMLP,
)

from pretraining.vocabulary import BOS, CONTEXT, EOS, PAD, SPECIAL

_SCALE = 0.3
"""Of an embedding's coordinates."""
_CONSTANT = 3.0
"""The constant coordinate, in units of the scale."""
_FINAL = 0.25
"""Gain of the last norm: keeps the logits of random tokens near one."""
_BACK = (1, 2, 3)
"""Distances at which heads of the first layer look sharply."""
_READ_BEFORE, _TURNED, _COPIED = 0.3, 1.2, 0.3
"""How strongly the first layer writes what it reads, its MLP turns, and the others copy."""
_ALIKE, _BEHIND = 0.6, 2.6
"""Of the queries and keys that look for what resembles, and for what comes behind it."""
_GATE = 3.0
"""At which the MLP's gates stand open."""

# Shapes: V tokens, D width, H heads, F features of a head.


def configuration(tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    """The architecture."""
    return LlamaConfig(
        vocab_size=-(-len(tokenizer) // 256) * 256,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(EOS),
        pad_token_id=SPECIAL.index(PAD),
    )


def first_model(tokenizer: PreTrainedTokenizerBase, *, seed: int) -> LlamaForCausalLM:
    """The model that training starts from, in float32."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(configuration(tokenizer))
    draws = torch.Generator().manual_seed(seed)
    width = model.config.hidden_size
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(_embeddings(model.config, tokenizer, draws))
        model.model.norm.weight.fill_(_FINAL)
        first, *others = (_parts(layer) for layer in model.model.layers)
        turn = torch.eye(width)
        turn[1:, 1:] = _orthogonal(width - 1, draws)
        _look_back(first[0], draws)
        _turn(first[1], turn, draws)
        for attention, _ in others:
            _look_alike(attention, first[0], turn, draws)
    return model


def _parts(layer: torch.nn.Module) -> tuple[LlamaAttention, LlamaMLP]:
    assert isinstance(layer, LlamaDecoderLayer)
    return layer.self_attn, layer.mlp


def _embeddings(
    config: LlamaConfig, tokenizer: PreTrainedTokenizerBase, draws: torch.Generator
) -> Tensor:
    """(V, D): letters, whether a space leads, and an own part; the first coordinate constant."""
    width = config.hidden_size
    own = torch.randn(config.vocab_size, width, generator=draws)
    space = torch.randn(width, generator=draws)
    parts: dict[str, Tensor] = {}

    def part(text: str) -> Tensor:
        if text not in parts:
            parts[text] = torch.randn(width, generator=draws)
        return parts[text]

    table = own.clone()
    for token, index in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        if token in SPECIAL:
            continue
        text = token.removeprefix("Ġ")
        word = text.casefold()
        pieces = _pieces(word)
        letters = torch.stack([part(piece) for piece in pieces]).sum(0) / math.sqrt(len(pieces))
        if word.isdigit():
            letters = part(f"={word}")
        table[index] = 0.6 * part(f"={word}") + 0.7 * letters + 0.3 * own[index]
        if token.startswith("Ġ"):
            table[index] += 0.4 * space
    table *= math.sqrt(width) / table.norm(dim=1, keepdim=True)
    table[:, 0] = _CONSTANT
    return _SCALE * table


def _pieces(word: str) -> list[str]:
    """Beginnings and stretches of four letters of a word, by which forms of it resemble."""
    marked = f"<{word}>"
    beginnings = [marked[:length] for length in range(4, len(marked))]
    return [*beginnings, *(marked[i : i + 4] for i in range(1, len(marked) - 4)), f"{marked}."]


def _look_back(attention: LlamaAttention, draws: torch.Generator) -> None:
    """Heads that find tokens by their distance; what they read is written elsewhere."""
    heads, features = attention.config.num_attention_heads, attention.head_dim
    half = features // 2
    query = attention.q_proj.weight.view(heads, features, -1)
    key = attention.k_proj.weight.view(heads, features, -1)
    turns = 10000.0 ** (-torch.arange(half) / half)  # radians a token, as RoPE has it
    for head in range(heads - 2):
        sharp = head < len(_BACK)
        distance = _BACK[head] if sharp else 4 * (head - len(_BACK) + 1)
        used = slice(0, 5) if sharp else slice(3, 9)
        strength = 4.5 if sharp else 2.0
        query[head], key[head] = 0.0, 0.0
        key[head, :half, 0][used] = strength / _CONSTANT
        query[head, :half, 0][used] = strength / _CONSTANT * torch.cos(turns * distance)[used]
        query[head, half:, 0][used] = -strength / _CONSTANT * torch.sin(turns * distance)[used]
    size = attention.v_proj.weight.shape[0]
    attention.v_proj.weight.copy_(_orthogonal(size, draws))
    attention.o_proj.weight.copy_(_READ_BEFORE * _orthogonal(size, draws))


def _turn(mlp: LlamaMLP, turn: Tensor, draws: torch.Generator) -> None:
    """Replaces what the stream holds, about, by its turned form."""
    width = turn.shape[0]
    mixed = _orthogonal(width, draws)
    mlp.gate_proj.weight[:width] = 0.0
    mlp.gate_proj.weight[:width, 0] = _GATE / _CONSTANT
    mlp.up_proj.weight[:width] = mixed
    opened = _GATE / (1.0 + math.exp(-_GATE))
    mlp.down_proj.weight[:, :width] = (
        _TURNED * _SCALE / opened * (turn - torch.eye(width)) @ mixed.T
    )


def _look_alike(
    attention: LlamaAttention, first: LlamaAttention, turn: Tensor, draws: torch.Generator
) -> None:
    """Heads that find what resembles, or what comes behind it, and copy that."""
    heads, features = attention.config.num_attention_heads, attention.head_dim
    size = attention.v_proj.weight.shape[0]
    value = _orthogonal(size, draws)
    attention.v_proj.weight.copy_(value)
    attention.o_proj.weight.copy_(_COPIED * turn.T @ value.T)
    # The first head of the first layer writes what the token before is: there it is read.
    read = first.v_proj.weight[:features] @ turn.T
    write = first.o_proj.weight[:, :features].T @ turn.T / _READ_BEFORE
    for head in range(heads):
        rows = slice(head * features, (head + 1) * features)
        alike = _ALIKE * _orthogonal(size, draws)[rows]
        behind = head < heads // 2
        attention.q_proj.weight[rows] = _BEHIND * read if behind else alike
        attention.k_proj.weight[rows] = _BEHIND * write if behind else alike


def _orthogonal(size: int, draws: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=draws))[0]
