"""What is planned is what is there: sizes, rows, and what several devices change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tunelab.errors import TuningError
from tunelab.models.decoder import load_decoder
from tunelab.models.loading import load_config
from tunelab.plan import depth
from tunelab.plan.devices import Device
from tunelab.plan.estimate import Machine
from tunelab.plan.fitting import remedies
from tunelab.plan.planning import Planner
from tunelab.plan.simulated import simulate
from tunelab.recipe import Recipe, validate
from tunelab.records import Step
from tunelab.runs.measuring import training_seconds
from tunelab.tuning import apply_tuning

GPU = Device("a card", 1e9, 1e12, 1e12, 1e11, "made up")


def recipe_of(model: Path, data: Path, **changes: Any) -> Recipe:
    content: dict[str, Any] = {
        "task": {
            "train": str(data / "train.json"),
            "test": str(data / "test.json"),
            "validation": 0.0,
        },
        "model": {"path": str(model), "max_length": 512},
        "training": {"epochs": 1, "batch_size": 8, "tokens_per_pass": 512},
    }
    for path, value in changes.items():
        group, _, name = path.partition("__")
        content[group] = content.get(group, {}) | {name: value} if name else value
    return validate(content, source="the test")


@pytest.mark.parametrize("tuning", [{"kind": "full"}, {"kind": "lora", "dora": True}])
def test_sizes_are_those_of_the_loaded_model(
    tuning: dict[str, Any], small_decoder: Path, small_data: Path
) -> None:
    recipe = recipe_of(small_decoder, small_data, tuning=tuning)
    sizes = simulate(recipe, load_config(recipe.model), reads_both_ways=False).sizes
    model = load_decoder(recipe.model, seed=0).model
    tuned = apply_tuning(model, recipe.tuning, total_steps=1, seed=0)
    trained = tuned.trained_parameters().values()
    assert sizes.trained_parameters == sum(each.numel() for each in trained)
    assert sizes.total_parameters == sum(each.numel() for each in tuned.model.parameters())


def test_a_plan_says_what_memory_is_for(small_decoder: Path, small_data: Path) -> None:
    recipe = recipe_of(small_decoder, small_data, tuning={"kind": "full"})
    found = Planner(Machine(GPU)).plan(recipe, "full")
    sizes = simulate(recipe, load_config(recipe.model), reads_both_ways=False).sizes
    assert found.parts["weights"] == sizes.held
    assert found.parts["optimizer"] >= 2 * sizes.trained
    assert found.parts["activations"] > 0
    assert found.phases["training"] >= found.parts["weights"] + found.parts["optimizer"]
    assert found.largest_pass_tokens > 0
    assert found.steps == 8  # 60 questions, 8 a step


@pytest.mark.slow
def test_a_deep_model_is_told_from_two_shallow_ones(
    small_decoder: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(small_decoder, small_data, tuning={"kind": "lora"})
    config = load_config(recipe.model)
    config.update({"num_hidden_layers": 6})
    planner = Planner(Machine(GPU), steps=2)
    monkeypatch.setattr("tunelab.plan.planning.find_config", lambda _model: (config, ""))
    drawn_on = planner.plan(recipe, "lora")
    monkeypatch.setattr(depth, "DEPTHS", (2, 6))
    whole = Planner(Machine(GPU), steps=2).plan(recipe, "lora")
    assert drawn_on.peak_memory_bytes == pytest.approx(whole.peak_memory_bytes, rel=0.01)
    assert drawn_on.trained_parameters == whole.trained_parameters
    assert drawn_on.seconds_training == pytest.approx(whole.seconds_training, rel=0.01)


def test_fsdp_shares_out_what_ddp_does_not(small_decoder: Path, small_data: Path) -> None:
    recipe = recipe_of(small_decoder, small_data, tuning={"kind": "full"})
    alone = Planner(Machine(GPU), steps=2).plan(recipe, "full").phases["training"]
    several = {
        way: Planner(Machine(GPU, 8, way), steps=2).plan(recipe, "full").phases["training"]
        for way in ("ddp", "fsdp")
    }
    assert several["fsdp"] < alone < several["ddp"]


def test_data_that_cannot_be_read_are_assumed_and_said_so(small_decoder: Path) -> None:
    task = {"train": "/nowhere/train.json", "train_limit": 400, "test_limit": 10}
    recipe = recipe_of(small_decoder, Path("/nowhere"), task=task)
    found = Planner(Machine(GPU), steps=2).plan(recipe, "lora")
    assert any(note.startswith("assumed: ") for note in found.notes)
    assert found.steps == 50  # 400 questions, 8 a step


def test_an_unknown_architecture_is_counted_by_module(
    small_decoder: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object, **_settings: object) -> None:
        raise RuntimeError("no such operation on fake tensors")

    recipe = recipe_of(small_decoder, small_data, tuning={"kind": "full"})
    known = Planner(Machine(GPU), steps=2).plan(recipe, "full")
    monkeypatch.setattr(depth, "rehearse", fails)
    counted = Planner(Machine(GPU), steps=2).plan(recipe, "full")
    assert any("counted by module" in note for note in counted.notes)
    ratio = counted.phases["training"] / known.phases["training"]
    assert 0.3 < ratio < 3


def test_planning_leaves_the_random_state_alone(small_decoder: Path, small_data: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Planner(Machine(replace(GPU, on_cpu=True)), steps=2).plan(
        recipe_of(small_decoder, small_data, tuning={"kind": "lora"}), "lora"
    )
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_what_fsdp_cannot_wrap_is_neither_planned_nor_proposed(
    small_decoder: Path, small_data: Path
) -> None:
    card = replace(GPU, memory=1e5)
    for quantize, wraps in (("none", True), ("nf4", False)):
        recipe = recipe_of(
            small_decoder, small_data, tuning={"kind": "lora"}, model__quantize=quantize
        )
        planner = Planner(Machine(card), steps=2)
        ways = remedies(recipe, planner.plan(recipe, "lora"), planner)
        assert any("fsdp" in way.change for way in ways) == wraps
    with pytest.raises(TuningError, match="FSDP cannot cut"):
        Planner(Machine(card, 2, "fsdp")).plan(recipe, "lora")


def test_an_encoder_is_not_counted_with_gradient_checkpointing(
    small_encoder: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object, **_settings: object) -> None:
        raise RuntimeError("no such operation on fake tensors")

    monkeypatch.setattr(depth, "rehearse", fails)
    plain, saving = (
        Planner(Machine(GPU), steps=2).plan(
            recipe_of(
                small_encoder,
                small_data,
                tuning={"kind": "full"},
                model__max_length=160,
                model__stride=40,
                training__gradient_checkpointing=wanted,
            ),
            "full",
        )
        for wanted in (False, True)
    )
    assert saving.peak_memory_bytes == plain.peak_memory_bytes


def test_what_a_short_run_takes_once_is_taken_once() -> None:
    def step(number: int, tokens: int, seconds: float) -> Step:
        return Step(
            step=number,
            examples=number,
            tokens=tokens,
            target_tokens=1,
            loss=1.0,
            learning_rate=1.0,
            grad_norm=1.0,
            seconds=seconds,
            peak_memory_bytes=None,
        )

    steps = [step(1, 100, 3.0), step(2, 200, 2.0), step(3, 100, 1.0)]  # 10 ms a token
    assert training_seconds(steps, 7.0, 10_000) == pytest.approx(100 + 3)  # and 3 s besides
    assert training_seconds(steps[:1], 2.0, 1000) == pytest.approx(30)
    assert training_seconds([], 7.0, 1000) == 0.0
