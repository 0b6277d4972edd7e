"""Files that a real llama.cpp runs: it reads the same tokens and says the same as transformers.

It is inside the npm package node-llama-cpp, which is installed into the cache; the tests are
skipped, and say why, where that is not possible.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.export.llamacpp import Answered, LlamaCpp
from tests.export.random_decoders import KINDS, texts, write_random
from tests.export.test_gguf import NEEDS_GGUF, written
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunelab.export.gguf_file import Weights, read_back
from tunelab.export.gguf_tokenizer import read_vocabulary
from tunelab.models import checkpoint

pytestmark = pytest.mark.slow

PROMPTS = 50
TOKENS = 24
TIE = 1e-3
"""Logits nearer than this may change places: sums are taken in another order."""


@pytest.fixture(scope="module")
def llama_cpp() -> LlamaCpp:
    pytest.importorskip("gguf", reason=NEEDS_GGUF)
    return LlamaCpp.install()


def plain() -> list[str]:
    """Texts, and what is hard to split; every one of another length."""
    odd = [
        "two  spaces, a\ttab,\n\n\nlines and 12345 digits",
        "Ćwierć łąki; naïve café, 東京 and 🙂 don't  ",
    ]
    return odd + [
        text[: 20 + 3 * place] for place, text in enumerate(texts()[: PROMPTS - len(odd)])
    ]


def chats(tokenizer: Any) -> list[str]:
    """Texts as somebody says them to a model, behind special tokens."""
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        for text in plain()
    ]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a model of transformers would have gone on where llama.cpp did."""

    same: int
    """Prompts that both continue with the same text."""
    close: int
    """Prompts on whose way two tokens were nearly as good."""
    widest: float
    """The widest gap between two logits at which both went apart."""


def agree(
    model: Any, tokenizer: Any, answers: Sequence[Answered], *, tokens: int = TOKENS
) -> Agreement:
    """Put what llama.cpp said to the model: greedy, it says the same if it would at every token."""
    special = read_vocabulary(tokenizer, behind_special=True).special
    stops = {special["eos"], special.get("eot", special["eos"])}
    same = close = 0
    widest = 0.0
    for answer in answers:
        with torch.inference_mode():
            logits = model(torch.tensor([answer.prompt + answer.ids])).logits[0]
        ahead = logits[len(answer.prompt) - 1 :]
        best = ahead.topk(2)
        gaps = (best.values[:, 0] - best.values[:, 1]).tolist()[:tokens]
        wanted = best.indices[:, 0].tolist()[:tokens]
        said = [*answer.ids, None][:tokens]
        apart = [
            gap
            for gap, token, ours in zip(gaps, said, wanted, strict=True)
            if not (ours in stops if token is None else ours == token)
        ]
        same += not apart
        close += min(gaps) < TIE
        widest = max(widest, apart[0] if apart else 0.0)
        text = tokenizer.decode(answer.ids)
        # what stands for broken characters is each program's own affair
        assert "\ufffd" in text or readable(answer.text) == readable(text)
    return Agreement(same, close, widest)


def readable(text: str) -> str:
    """Without spaces: llama.cpp drops some before commas."""
    return "".join(text.split())


def check(folder: Path, llama_cpp: LlamaCpp, weights: Weights, *, chat: bool) -> None:
    """The file of a model in a folder reads the same tokens and says the same."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked = chats(tokenizer) if chat else plain()
    file, _, _ = written(folder, weights, behind_special=chat)
    answers, template = llama_cpp.continue_greedily(file, asked, tokens=TOKENS)
    assert template == tokenizer.chat_template and len(answers) == PROMPTS
    for prompt, answer in zip(asked, answers, strict=True):
        # the text of a chat template has its beginning-of-sequence in it
        assert answer.prompt == tokenizer(prompt, add_special_tokens=not chat)["input_ids"]
    found = agree(model, tokenizer, answers)
    print(f"{folder.name} in {weights}, {'chats' if chat else 'texts'}: {found} of {PROMPTS}")
    if weights == "f32":
        assert found.widest < TIE and found.same >= PROMPTS - found.close
    else:  # llama.cpp rounds what goes into a layer to float16
        assert found.widest < 0.05 and found.same >= 0.8 * PROMPTS


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_says_the_same(kind: str, llama_cpp: LlamaCpp, tmp_path: Path) -> None:
    write_random(tmp_path / kind, kind)
    check(tmp_path / kind, llama_cpp, "f32", chat=False)
    check(tmp_path / kind, llama_cpp, "f32", chat=True)
    check(tmp_path / kind, llama_cpp, "f16", chat=False)


def test_llama_cpp_runs_the_bundled_decoder(llama_cpp: LlamaCpp, tmp_path: Path) -> None:
    bundled = Path(checkpoint.__file__).parent / "bundled" / "tiny"
    if not (bundled / "model.safetensors").exists():
        pytest.skip("the bundled decoder has no weights in this checkout")
    shutil.copytree(bundled, tmp_path / "tiny")
    check(tmp_path / "tiny", llama_cpp, "f32", chat=False)
    check(tmp_path / "tiny", llama_cpp, "f16", chat=True)


@pytest.mark.parametrize("weights", ["q8_0", "q4_0", "q4_k_m"])
def test_llama_cpp_runs_what_was_quantised(
    weights: Weights, llama_cpp: LlamaCpp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rounds what goes into a layer to 8 bits, so that only most first words are the same."""
    program = tmp_path / "bin" / "llama-quantize"
    program.parent.mkdir()
    quantise = Path(__file__).with_name("quantise.py")
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{quantise}" "{llama_cpp.library}" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    folder = tmp_path / "model"
    write_random(folder, "qwen3", width=256)
    file, written_from, told = written(folder, weights)
    assert ("llama-quantize" in str(told)) == (weights == "q4_k_m")
    assert file.stat().st_size < 0.4 * (folder / "model.safetensors").stat().st_size
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for name, tensor in read_back(file, written_from):
            model.state_dict()[name].copy_(tensor)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    answers, _ = llama_cpp.continue_greedily(file, plain(), tokens=1)
    found = agree(model, tokenizer, answers, tokens=1)
    print(f"{weights}: {found} of {PROMPTS}")
    assert found.same >= 0.7 * PROMPTS
