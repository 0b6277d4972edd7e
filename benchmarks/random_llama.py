"""A Llama of about 40 million random parameters, with a tokenizer learnt from the texts at hand.

Speed does not hang on what weights say, and no checkpoint of this size is at hand everywhere.
Equal texts give equal files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_CONTROL = ("<pad>", "</s>", "<|turn|>", "<|end|>")
_TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message.role }}\n{{ message.content }}<|end|>\n"
    "{% endfor %}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """Widths of a Llama; heads are 64 wide, and two share their keys."""

    layers: int = 8
    hidden: int = 512
    vocabulary: int = 16384


def save_random_llama(folder: Path, texts: Sequence[str], size: Size, *, longest: int) -> int:
    """Write model and tokenizer; returns the number of parameters.

    Args:
        texts: what the tokenizer is learnt from.
        longest: tokens of a sequence at most.
    """
    tokenizer = _tokenizer(texts, size.vocabulary)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.hidden * 11 // 4,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // 64,
        num_key_value_heads=size.hidden // 128,
        max_position_embeddings=longest,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return model.num_parameters()


def _tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", chat_template=_TEMPLATE
    )
