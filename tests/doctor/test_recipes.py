"""Recipes of decoders are examined from the files that they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tunelab.data.reading import generate
from tunelab.doctor.examination import examine, sight_key
from tunelab.errors import ModelError
from tunelab.recipe import Recipe, expand, validate


@pytest.fixture
def recipe(tmp_path: Path, small_decoder: Path) -> dict[str, Any]:
    task: dict[str, Any] = {"validation": 0.2}
    drawn = {"train": generate("train", questions=24), "test": generate("test", questions=12)}
    for part, document in drawn.items():
        task[part] = str(tmp_path / f"{part}.json")
        Path(task[part]).write_text(json.dumps(document))
    return {
        "task": task,
        "model": {"path": str(small_decoder), "max_length": 1500},
        "evaluation": {"max_new_tokens": 200},
    }


def resolved(content: dict[str, Any]) -> list[Recipe]:
    return expand(validate(content, source="test"))


def test_a_healthy_decoder_shares_prefixes_whatever_its_tuning(recipe: dict[str, Any]) -> None:
    runs = resolved(recipe | {"grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}]}})
    assert len({sight_key(run) for run in runs}) == 1
    examination = examine(runs)
    found = {finding.name: finding for finding in examination.findings}
    assert {f.name for f in examination.findings if f.severity != "fact"} == set()
    for kind in ("full", "lora"):
        assert "Gradients of a small tree differ by" in found[f"sharing, {kind}"].found
    assert len(examination.sights) == 2


def test_shots_and_styles_are_seen_differently(recipe: dict[str, Any]) -> None:
    grid = {
        "tuning": [{"kind": "none"}, {"kind": "none", "shots": 2}, {"kind": "full"}],
        "prompt.style": ["plain", "chat-json"],
    }
    assert len({sight_key(run) for run in resolved(recipe | {"grid": grid})}) == 4
    (shown,) = examine(resolved(recipe | {"tuning": {"kind": "none", "shots": 2}}), shown=1).sights
    assert "".join(token.text for token in shown.tokens).count("### Context:") == 3


def test_a_vocabulary_that_outgrew_its_model_is_refused(
    recipe: dict[str, Any], small_decoder: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(small_decoder, tmp_path / "model")
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<extra>"])
    tokenizer.save_pretrained(model)
    recipe["model"]["path"] = str(model)
    with pytest.raises(ModelError, match="tokens, such as '<extra>', have none"):
        examine(resolved(recipe))


def test_reasoning_tokens_have_rows(recipe: dict[str, Any]) -> None:
    prompt = {"style": "chat-json", "reasoning_tokens": 2}
    runs = resolved(recipe | {"prompt": prompt, "tuning": {"kind": "full"}})
    examination = examine(runs, shown=1)
    (shown,) = examination.sights
    assert [t.text for t in shown.tokens if "blah" in t.text] == ["<blah_0>", "<blah_1>"]
    assert not any(t.target for t in shown.tokens if "blah" in t.text)
    assert examination.healthy
