"""The bundled decoder: small enough, complete, and honest about missing weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tunelab.errors import ModelError
from tunelab.models import checkpoint
from tunelab.models.checkpoint import BUNDLED, resolve_checkpoint

TINY = Path(checkpoint.__file__).parent / "bundled" / "tiny"


def test_missing_weights_are_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = dataclasses.replace(BUNDLED["tiny"], folder="models/bundled/none")
    monkeypatch.setitem(BUNDLED, "tiny", elsewhere)
    with pytest.raises(ModelError, match="weights of the bundled model 'tiny' are missing"):
        resolve_checkpoint("tiny")


def test_tiny_is_a_small_llama_in_bfloat16() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = Path(resolve_checkpoint("tiny"))
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.config.model_type == "llama"
    assert model.dtype == torch.bfloat16
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            assert module.in_features % 256 == 0 == module.out_features % 256, name


def test_its_tokenizer_begins_ends_and_chats() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve_checkpoint("tiny"))
    text = "The Silent Arrow – £3,200 in 1842.\n### Answer:\n<unk>"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == text
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3
    chat = tokenizer.apply_chat_template(
        [{"role": role, "content": role[0]} for role in ("system", "user", "assistant")],
        tokenize=False,
    )
    assert chat == "<|begin|><|system|>\ns<|end|>\n<|user|>\nu<|end|>\n<|assistant|>\na<|end|>\n"
