"""Methods on small decoders: what trains, what is stored, and that it comes back the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from tests.tokentree import small
from tests.tokentree.small import output_weight
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tunelab.errors import TuningError
from tunelab.models.virtual import VirtualInputs, VirtualKeys
from tunelab.recipe import Model, Recipe, SquadTask
from tunelab.recipe.schema import Tuning
from tunelab.tuning import (
    TrainingWatch,
    TunedModel,
    apply_tuning,
    load_tuned,
    reload_proofs,
    text_room,
)
from tunelab.tuning.layers import linear_layers, new_head, normalisations
from tunelab.tuning.proofs import raise_unless_held

LLAMA: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
GPT2: dict[str, Any] = {
    "vocab_size": 97,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
IDS = torch.tensor([[1, 11, 12, 13, 14, 15, 16, 17], [1, 11, 12, 13, 21, 22, 23, 24]])
ALL = [
    {"kind": "none"},
    {"kind": "full"},
    {"kind": "head"},
    {"kind": "lora"},
    {"kind": "lora", "dora": True, "rslora": True, "plus_ratio": 16},
    {"kind": "lora", "init": "pissa"},
    {"kind": "lora", "init": "olora", "targets": ["q_proj", "v_proj"]},
    {"kind": "prefix", "virtual_tokens": 5},
    {"kind": "prompt", "virtual_tokens": 5},
    {
        "kind": "stack",
        "parts": [{"kind": "lora", "plus_ratio": 4}, {"kind": "prefix", "virtual_tokens": 3}],
    },
    {
        "kind": "stack",
        "parts": [{"kind": "lora", "init": "pissa"}, {"kind": "prompt", "virtual_tokens": 3}],
    },
    {"kind": "ia3"},
    {"kind": "adalora"},
    {"kind": "vera", "options": {"r": 16}},
    {"kind": "p_tuning"},
    {"kind": "ln_tuning"},
    {"kind": "prefix_tuning", "options": {"prefix_projection": True, "num_virtual_tokens": 3}},
]


def decoder(name: str = "llama", **fields: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"llama": LLAMA, "gpt2": GPT2}[name]
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **(sizes | fields)))


def tuning(fields: dict[str, Any]) -> Tuning:
    return TypeAdapter[Tuning](Tuning).validate_python(fields)


def tuned(fields: dict[str, Any], base: PreTrainedModel | None = None) -> TunedModel:
    return apply_tuning(base or decoder(), tuning(fields), total_steps=6, seed=0)


def logits(model: TunedModel) -> Tensor:
    """As PEFT's user gets them: the virtual tokens in front, and no mask of ours."""
    rows: dict[str, Any] = {"input_ids": IDS}
    match model.virtual():
        case VirtualInputs(embeddings):
            words = model.checkpoint.get_input_embeddings()(IDS)
            rows = {"inputs_embeds": torch.cat((embeddings.expand(2, -1, -1), words), dim=1)}
        case VirtualKeys() as keys:
            past = keys.cache()
            past.batch_repeat_interleave(2)
            rows["past_key_values"] = past
        case None:
            pass
    return model.checkpoint(**rows).logits[:, -IDS.shape[1] :]


@pytest.mark.parametrize("fields", ALL, ids=str)
def test_the_room_that_a_recipe_promises_is_that_of_its_model(fields: dict[str, Any]) -> None:
    model = Model(max_length=50)
    room = text_room(Recipe(task=SquadTask(), model=model, tuning=tuning(fields)))
    assert room == 50 - tuned(fields).virtual_tokens


@torch.no_grad()
def judged(model: TunedModel) -> Tensor:
    model.model.eval()
    return logits(model)


def train(model: TunedModel, *, steps: int = 6) -> None:
    """A few watched steps; raises where the proofs of training do not hold."""
    if not model.expected:
        return
    watch = TrainingWatch(model)
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-2, 0.01))
    watch.before(optimizer)
    model.model.train()
    for index in range(steps):
        rows = logits(model)[:, :-1]
        torch.nn.functional.cross_entropy(rows.flatten(0, 1), IDS[:, 1:].flatten()).backward()
        model.after_backward()
        watch.after_backward()
        optimizer.step()
        watch.after_step()
        model.after_step(index)
        optimizer.zero_grad()
    raise_unless_held(watch.proofs())


@pytest.mark.parametrize("fields", ALL, ids=str)
def test_a_tuned_decoder_is_stored_and_comes_back_the_same(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    model = tuned(fields)
    before = judged(model)
    train(model)
    after = judged(model)
    assert (fields["kind"] == "none") == torch.equal(before, after)
    if model.stored != "nothing":
        folder = model.save(tmp_path)
        raise_unless_held(reload_proofs(model, folder, decoder, judged))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_pretrained_output_layer_is_trained_by_head_and_full_alone(name: str) -> None:
    base = decoder(name)
    output = output_weight(base)
    assert new_head(base) == ()
    for fields in ({"kind": "lora"}, {"kind": "prefix"}, {"kind": "prompt"}):
        model = tuned(fields, copy.deepcopy(base))
        own = output_weight(model.checkpoint)
        assert not own.requires_grad
        assert all(value is not own for value in model.trained_parameters().values())
    head = tuned({"kind": "head"}, base)
    assert [id(value) for value in head.trained_parameters().values()] == [id(output)]
    assert set(head.trained_parameters()) == head.expected  # tied or not


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("extra", [{}, {"dora": True}, {"init": "pissa"}], ids=str)
def test_lora_trains_the_embeddings_of_new_tokens(
    name: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    new = [11, 24]
    fields = tuning({"kind": "lora", **extra})
    model = apply_tuning(decoder(name), fields, total_steps=6, seed=0, new_tokens=new)
    before = decoder(name).get_input_embeddings().weight
    train(model)
    changed = model.checkpoint.get_input_embeddings()(torch.arange(97)) != before
    assert changed.any(dim=1).nonzero().flatten().tolist() == new
    raise_unless_held(reload_proofs(model, model.save(tmp_path), lambda: decoder(name), judged))


@pytest.mark.parametrize("kind", ["prompt", "prefix", "head", "ia3"])
def test_new_tokens_need_a_method_that_trains_them(kind: str) -> None:
    with pytest.raises(TuningError, match="2 tokens are"):
        apply_tuning(decoder(), tuning({"kind": kind}), total_steps=6, seed=0, new_tokens=[1, 2])


def test_lora_reaches_every_linear_layer_but_the_output() -> None:
    base = decoder()
    assert len(linear_layers(base)) == 2 * 7
    assert not any("lm_head" in name for name in linear_layers(base))
    assert len(normalisations(base)) == 2 * 2 + 1


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_virtual_tokens_say_what_peft_says(name: str, kind: str) -> None:
    model = tuned({"kind": kind, "virtual_tokens": 5}, decoder(name))
    train(model)
    found = judged(model)
    peft = model.adapted(input_ids=IDS).logits[:, -IDS.shape[1] :]
    torch.testing.assert_close(found, peft, rtol=0, atol=1e-5)
    virtual = model.virtual()
    assert virtual is not None
    assert len(virtual) == model.virtual_tokens == 5
    with model.adapter_off():
        assert model.virtual() is None


def test_prefix_tuning_of_a_model_without_past_keys_is_told() -> None:
    fields = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}
    mamba = AutoModelForCausalLM.from_config(AutoConfig.for_model("mamba", **fields))
    with pytest.raises(TuningError, match="MambaForCausalLM"):
        tuned({"kind": "prefix"}, mamba)


@torch.no_grad()
def test_a_stored_model_is_read_with_the_attention_it_was_trained_with(tmp_path: Path) -> None:
    """Gemma 2's fused attention would drop the cap on its scores."""
    fields: dict[str, Any] = {"attn_logit_softcapping": 0.1}
    model = tuned({"kind": "full"}, small.decoder("gemma2", **fields))
    again = load_tuned(
        small.decoder("gemma2", seed=1, **fields), model.save(tmp_path), model.tuning
    )
    assert again.checkpoint.config._attn_implementation == "eager"
    torch.testing.assert_close(judged(again), judged(model))
