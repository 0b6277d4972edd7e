"""A run whose LoRA does not train fails, and says so where a user looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from tunelab.recipe import Recipe
from tunelab.recipe.schema import Tuning
from tunelab.records import Manifest, RunDirectory
from tunelab.runs import encoding
from tunelab.runs.execute import execute
from tunelab.tuning import TunedModel, apply_tuning


def article(number: int) -> dict[str, Any]:
    """One paragraph with four questions, the last without an answer."""
    context = f"Ship {number} left port {number} in spring with {number} crates of tea."
    answers = ["in spring", f"{number} crates", "tea", None]
    questions = [
        {
            "id": f"{number}-{index}",
            "question": "What of it?",
            "answers": [{"text": text, "answer_start": context.index(text)}] if text else [],
            "is_impossible": text is None,
        }
        for index, text in enumerate(answers)
    ]
    return {"title": f"Ship {number}", "paragraphs": [{"context": context, "qas": questions}]}


def manifest_of(recipe: Recipe, folder: Path) -> Manifest:
    directory = RunDirectory(folder)
    execute(recipe, "lora", directory, quiet=True, stop=lambda: False)
    return directory.read_manifest()


@pytest.fixture
def lora_recipe(small_encoder: Path, tmp_path: Path) -> Recipe:
    data = tmp_path / "train.json"
    data.write_text(json.dumps({"data": [article(number) for number in range(4)]}))
    return Recipe.model_validate(
        {
            "task": {"train": str(data), "test": str(data), "validation": 0.0},
            "model": {"path": str(small_encoder), "max_length": 160, "stride": 40},
            "tuning": {"kind": "lora"},
            "training": {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "select": "last"},
            "evaluation": {"no_answer_threshold": 0.0},
        }
    )


def test_an_honest_lora_run_lists_its_proofs(lora_recipe: Recipe, tmp_path: Path) -> None:
    manifest = manifest_of(lora_recipe, tmp_path / "run")
    assert manifest.status == "ok", manifest.message
    assert len(manifest.proofs) == 8
    assert all(proof.held for proof in manifest.proofs)


def test_a_run_with_frozen_lora_matrices_fails(
    lora_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freezing(
        model: PreTrainedModel, tuning: Tuning, *, total_steps: int, seed: int
    ) -> TunedModel:
        tuned = apply_tuning(model, tuning, total_steps=total_steps, seed=seed)
        for name, parameter in tuned.model.named_parameters():
            if "lora_" in name:
                parameter.requires_grad_(False)
        return tuned

    monkeypatch.setattr(encoding, "apply_tuning", freezing)
    manifest = manifest_of(lora_recipe, tmp_path / "run")
    assert manifest.status == "failed"
    assert "66 in 2 require a gradient; frozen: bert.encoder" in manifest.message
    assert "requires_grad" in (tmp_path / "run" / "error.txt").read_text()
    assert not (tmp_path / "run" / "scores.json").exists()
