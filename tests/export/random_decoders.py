"""Decoders with random weights of the kinds that are written as GGUF, with their tokenizers.

The weights are spread wide, or a random model says the same token over and over, and rounded to
float16, as those of most checkpoints are: then a file in float16 holds them without a loss.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{% if m.role == 'assistant' %}<|turn|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_CONTROLS = ("<|user|>", "<|assistant|>", "<|turn|>")

KINDS = ("llama", "llama3", "llama-yarn", "mistral", "qwen2", "qwen3")


def write_random(folder: Path, kind: str, *, width: int = 64) -> None:
    """A decoder of one of `KINDS`."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    tokenizer = spelling_tokenizer() if kind == "mistral" else byte_tokenizer(kind)
    sizes = _SIZES | {
        "hidden_size": width,
        "intermediate_size": 3 * width // 2,
        "vocab_size": len(tokenizer) + 5,  # some rows have no token, as in Qwen
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(0)
    match kind:
        case "llama":
            config = LlamaConfig(**sizes, attention_bias=True, mlp_bias=True)
            model = LlamaForCausalLM(config)
        case "llama3":
            rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
            config = LlamaConfig(**sizes, rope_parameters=rope, tie_word_embeddings=True)
            model = LlamaForCausalLM(config)
        case "llama-yarn":
            rope = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0,
                    "original_max_position_embeddings": 128}  # fmt: skip
            model = LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters=rope))
        case "mistral":
            model = MistralForCausalLM(MistralConfig(**sizes, head_dim=32))
        case "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True))
        case _:
            model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=32))
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            spread = 0.5 if "embed" in name else 0.1 if name.endswith("bias") else 0.25
            if tensor.ndim > 1 or name.endswith("bias"):
                tensor.normal_(std=spread)
            else:
                tensor.add_(torch.randn_like(tensor), alpha=0.2)
            if tensor.shape[0] == model.config.vocab_size:
                tensor[len(tokenizer) :] = 0  # no trained model says a token that is none
            tensor.copy_(tensor.half().float())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def byte_tokenizer(kind: str) -> Any:
    """Byte-level BPE, splitting as GPT-2, Llama 3 or Qwen does."""
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    splitters: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if kind not in ("llama", "llama-yarn"):
        rule = Regex(_LLAMA3 if kind == "llama3" else _QWEN)
        splitters = [
            pre_tokenizers.Split(rule, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    if kind == "llama-yarn":
        splitters.insert(0, pre_tokenizers.Digits(individual_digits=True))
    if kind.startswith("qwen"):
        backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(splitters)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "</s>", *_CONTROLS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts(), trainer)
    if not kind.startswith("qwen"):
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", chat_template=_TEMPLATE
    )


def spelling_tokenizer() -> Any:
    """As SentencePiece makes it: pieces of characters, and bytes for the rest."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaTokenizer

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    learner.train_from_iterator(texts(), trainers.BpeTrainer(vocab_size=400, show_progress=False))
    learned = json.loads(learner.to_str())["model"]["vocab"]
    joined = [piece for piece in learned if len(piece) > 1]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *joined]
    pieces += [piece for piece in learned if len(piece) == 1]
    known = set(learned)
    merges = [
        (piece[:cut], piece[cut:])
        for piece in joined
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=merges, chat_template=_TEMPLATE)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_CONTROLS)})
    return tokenizer


@lru_cache(maxsize=1)
def texts() -> list[str]:
    """Paragraphs and questions."""
    from tunelab.data.reading import generate

    pages = generate("train", questions=150)["data"]
    told = [part["context"] for page in pages for part in page["paragraphs"]]
    asked = [qa["question"] for page in pages for part in page["paragraphs"] for qa in part["qas"]]
    return told + asked
