"""GGUF files without a run: what is written, what comes back, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.export.random_decoders import byte_tokenizer, spelling_tokenizer, write_random
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tunelab.errors import ModelError
from tunelab.export.gguf_architecture import Renamed, find_architecture, rotary_factors
from tunelab.export.gguf_file import Checkpoint, Weights, check_quantiser, read_back, write_file
from tunelab.export.gguf_splitting import scores
from tunelab.export.gguf_tokenizer import read_vocabulary

NEEDS_GGUF = "tunelab[gguf] is not installed"


def written(
    folder: Path, weights: Weights = "f32", *, behind_special: bool = True
) -> tuple[Path, Checkpoint, tuple[str, ...]]:
    """The file of a model's folder, in it."""
    checkpoint = Checkpoint.of(folder, AutoConfig.from_pretrained(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vocabulary = read_vocabulary(tokenizer, behind_special=behind_special)
    path = folder / f"{weights}.gguf"
    return path, checkpoint, write_file(path, checkpoint, vocabulary, weights=weights, title="t")


@pytest.mark.parametrize("kind", ["llama3", "qwen3"])
def test_transformers_reads_the_same_model(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason=NEEDS_GGUF)
    write_random(tmp_path, kind)
    path, checkpoint, _ = written(tmp_path)
    config: Any = checkpoint.config
    ours: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=path.name, config=config, dtype=torch.float32
    )
    asked = torch.arange(5, 45)[None]
    with torch.inference_mode():
        assert torch.equal(ours(asked).logits, theirs(asked).logits)


@pytest.mark.parametrize(("weights", "allowed"), [("f16", 0.0), ("bf16", 4e-3), ("q8_0", 8e-3),
                                                  ("q4_0", 0.13)])  # fmt: skip
def test_weights_come_back_as_near_as_their_type_allows(
    weights: Weights, allowed: float, tmp_path: Path
) -> None:
    pytest.importorskip("gguf", reason=NEEDS_GGUF)
    write_random(tmp_path, "mistral")
    path, checkpoint, _ = written(tmp_path, weights)
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    whole = model.state_dict()
    back = dict(read_back(path, checkpoint))
    assert back.keys() == whole.keys()
    for name, tensor in back.items():
        assert (tensor - whole[name]).abs().max() <= allowed * whole[name].abs().max()
    if weights != "f16":
        assert not torch.equal(back["lm_head.weight"], whole["lm_head.weight"])


def test_llama_cpp_rotates_neighbours() -> None:
    """One head of four rows: transformers turns 0 with 2 and 1 with 3."""
    rows = torch.arange(8.0)[:, None]
    two_heads = Renamed("blk.0.attn_q.weight", heads=2)
    assert two_heads.reorder(rows).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert torch.equal(two_heads.restore(two_heads.reorder(rows)), rows)


def test_llama_3_stretches_as_transformers_does() -> None:
    rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # fmt: skip
    config = LlamaConfig(rope_parameters=rope)
    plain = 1 / 5e5 ** (torch.arange(0, 128, 2) / 128)
    stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    factors = rotary_factors(config)
    assert factors is not None and torch.allclose(plain / factors, stretched, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (GPT2Config(architectures=["GPT2LMHeadModel"]), "Supported: LlamaForCausalLM, Mistral"),
        (LlamaConfig(architectures=["LlamaForCausalLM"], hidden_act="gelu"), "hidden_act=gelu"),
        (
            LlamaConfig(
                architectures=["LlamaForCausalLM"],
                rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
            ),
            "rope_type=dynamic",
        ),
        (
            Qwen2Config(
                architectures=["Qwen2ForCausalLM"], use_sliding_window=True, max_window_layers=1
            ),
            "sliding window",
        ),
        (Qwen3Config(architectures=["Qwen3ForCausalLM"], attention_bias=True), "biases"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(config: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told) as refusal:
        find_architecture(config)
    assert "--format merged" in refusal.value.hint


@pytest.mark.parametrize(
    ("kind", "name"),
    [("llama", "gpt-2"), ("llama-yarn", "smollm"), ("llama3", "llama-bpe"), ("qwen2", "qwen2")],
)
def test_ways_of_splitting_are_known_by_name(kind: str, name: str) -> None:
    found = read_vocabulary(byte_tokenizer(kind), behind_special=True)
    assert (found.model, found.splitting, found.begins) == ("gpt2", name, kind[0] == "l")
    assert found.kinds[:5] == ("CONTROL",) * 5 and found.pieces[4] == "<|turn|>"
    assert found.special == {"bos": 0, "eos": 1, "eot": 4}
    assert ("NFC" in str(found.told)) == (kind == "qwen2")


def test_spelling_is_told_by_scores() -> None:
    tokenizer = spelling_tokenizer()
    chat = read_vocabulary(tokenizer, behind_special=True)
    plain = read_vocabulary(tokenizer, behind_special=False)
    assert (chat.model, chat.space_before, plain.space_before) == ("llama", False, True)
    assert "never" in chat.told[0]
    assert chat.kinds[0] == "UNKNOWN" and chat.kinds[3] == "BYTE" and chat.kinds[259] == "NORMAL"
    assert chat.scores is not None and chat.scores[259] == 0 > chat.scores[260]


def test_another_way_of_splitting_is_refused() -> None:
    from tokenizers import pre_tokenizers

    tokenizer = byte_tokenizer("llama")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ModelError, match="splits texts by Whitespace"):
        read_vocabulary(tokenizer, behind_special=True)
    halved = json.loads(byte_tokenizer("llama3").backend_tokenizer.to_str())
    halved["model"]["ignore_merges"] = False
    tokenizer.backend_tokenizer.from_str(json.dumps(halved))
    tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(halved))
    with pytest.raises(ModelError, match="ignore_merges=False"):
        read_vocabulary(tokenizer, behind_special=True)


def test_merges_that_scores_cannot_tell_are_refused() -> None:
    pieces = ["a", "b", "c", "ab", "bc", "abc"]
    whole = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")]
    assert scores(pieces, pieces, whole) == (-3, -3, -3, 0, -1, -2)
    with pytest.raises(ModelError, match="does not merge 'a' and 'bc'"):
        scores(pieces, pieces, whole[:3])
    with pytest.raises(ModelError, match="no scores stand for"):
        scores(pieces, pieces, [whole[0], whole[2], whole[1], whole[3]])


def test_a_weight_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason=NEEDS_GGUF)
    from safetensors.torch import load_file, save_file

    write_random(tmp_path, "qwen2")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e5
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"up_proj.weight' go up to 1e\+05") as refusal:
        written(tmp_path, "f16")
    assert "bf16" in refusal.value.hint


def test_a_type_that_needs_a_program_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    check_quantiser("q4_0")
    with pytest.raises(ModelError, match="llama-quantize, which is not on the PATH"):
        check_quantiser("q4_k_m")
