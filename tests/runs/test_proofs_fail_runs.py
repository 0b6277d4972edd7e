"""A run that did not train what it claims fails, with a sentence that says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from tunelab.recipe import Recipe, Tuning, read_recipe
from tunelab.records import Manifest, RunDirectory
from tunelab.runs import encoding
from tunelab.runs import execute as execution
from tunelab.tuning import TunedModel, apply_tuning

Fault = Callable[[TunedModel], None]


def freeze_lora(tuned: TunedModel) -> None:
    """What the published DistilBERT project did: the head alone is left to train."""
    for name, parameter in tuned.model.named_parameters():
        if ".lora_" in name:
            parameter.requires_grad_(False)


def silence_lora(tuned: TunedModel) -> None:
    """The matrices are in the optimiser, but no gradient ever reaches them."""
    for name, parameter in tuned.model.named_parameters():
        if ".lora_" in name:
            parameter.register_hook(lambda gradient: gradient * 0)


def thaw_base(tuned: TunedModel) -> None:
    """More trains than was asked for."""
    for parameter in tuned.model.parameters():
        parameter.requires_grad_(True)


def run_with(
    fault: Fault, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Manifest:
    def faulty(
        model: PreTrainedModel, tuning: Tuning, *, total_steps: int, seed: int
    ) -> TunedModel:
        tuned = apply_tuning(model, tuning, total_steps=total_steps, seed=seed)
        fault(tuned)
        return tuned

    monkeypatch.setattr(encoding, "apply_tuning", faulty)
    directory = RunDirectory(tmp_path / "run")
    execution.execute(recipe, "lora", directory, quiet=True, stop=lambda: False)
    return directory.read_manifest()


@pytest.mark.parametrize("fault", [freeze_lora, silence_lora, thaw_base])
def test_a_run_that_trains_something_else_fails(
    fault: Fault, small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(small_recipe, ["grid=null", "tuning={kind: lora}", "training.epochs=1"])
    manifest = run_with(fault, recipe, tmp_path, monkeypatch)
    assert manifest.status == "failed"
    assert [proof for proof in manifest.proofs if not proof.held]
    if fault is not thaw_base:
        assert "lora_" in manifest.message
    assert not (tmp_path / "run" / "scores.json").exists()
    assert (tmp_path / "run" / "error.txt").read_text().startswith("The proof")


def test_the_same_run_without_a_fault_succeeds(
    small_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(small_recipe, ["grid=null", "tuning={kind: lora}", "training.epochs=1"])
    manifest = run_with(lambda _tuned: None, recipe, tmp_path, monkeypatch)
    assert manifest.status == "ok", manifest.message
