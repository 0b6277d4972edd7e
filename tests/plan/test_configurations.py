"""The facts that ship are those of the models they are named after."""

from __future__ import annotations

import pytest

from tunelab.errors import ModelError
from tunelab.plan.configurations import find_config, shipped, shipped_names
from tunelab.plan.simulated import simulate
from tunelab.recipe import Model, Recipe

# as published with the checkpoints (their safetensors or consolidated parameters)
PUBLISHED = {
    "distilbert-base-uncased": 66_364_418,  # with the head of field A.4: 66,362,880 + 1,538
    "huggyllama/llama-7b": 6_738_415_616,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
}
DEEP = {
    "huggyllama/llama-13b": 13_015_864_320,
    "huggyllama/llama-30b": 32_528_943_616,
    "huggyllama/llama-65b": 65_285_660_672,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
}


def _parameters(name: str) -> int:
    recipe = Recipe(model=Model(path=name), tuning={"kind": "none"})  # pyright: ignore[reportArgumentType]
    config, _ = find_config(recipe.model)
    encoder = name.startswith("distilbert")
    return simulate(recipe, config, reads_both_ways=encoder).sizes.total_parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_checkpoint(name: str) -> None:
    assert _parameters(name) == PUBLISHED[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_parameters_of_deep_models_are_those_of_the_checkpoint(name: str) -> None:
    assert _parameters(name) == DEEP[name]


def test_every_entry_is_complete() -> None:
    for name in shipped_names():
        facts = shipped(name)
        assert facts is not None
        assert {"model_type", "architectures", "vocab_size"} <= facts.keys(), name


def test_a_model_that_nobody_knows_is_refused_with_a_guess() -> None:
    with pytest.raises(ModelError) as refused:
        find_config(Model(path="huggyllama/llama-7bb"))
    assert "huggyllama/llama-7b" in refused.value.hint


def test_a_mistyped_bundled_name_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        find_config(Model(path="minilmm"))
    assert caught.value.hint.startswith("Did you mean 'minilm'?")
