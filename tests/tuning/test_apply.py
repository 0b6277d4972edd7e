"""Methods on small encoders: what trains, what is stored, and that it comes back the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import AdaLoraConfig
from tests.tuning.small import ENCODERS, batch, encoder, logits, train, tuned, tuning
from transformers import AutoModelForQuestionAnswering, DistilBertConfig

from tunelab.errors import RecordError, TuningError
from tunelab.tuning import apply_tuning, load_tuned
from tunelab.tuning.layers import head_names

ALL = [
    {"kind": "none"},
    {"kind": "full"},
    {"kind": "head"},
    {"kind": "lora"},
    {"kind": "lora", "dora": True, "rslora": True, "plus_ratio": 16},
    {"kind": "lora", "init": "gaussian", "targets": ["query", "value"]},
    {"kind": "lora", "init": "pissa"},
    {"kind": "lora", "init": "pissa", "rslora": True, "dora": True},
    {"kind": "lora", "init": "olora"},
    {"kind": "lora", "init": "orthogonal"},
    {"kind": "prefix", "virtual_tokens": 5},
    {"kind": "prompt", "virtual_tokens": 5},
    {"kind": "ia3"},
    {"kind": "adalora"},
    {"kind": "vera", "options": {"r": 16}},
    {"kind": "oft", "options": {"oft_block_size": 8}},
    {"kind": "p_tuning"},
    {"kind": "ln_tuning"},
    {"kind": "prefix_tuning", "options": {"prefix_projection": True, "num_virtual_tokens": 3}},
]


@pytest.mark.parametrize("fields", ALL, ids=str)
def test_a_trained_model_is_stored_and_comes_back_the_same(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    rows = batch()
    model = tuned(**fields)
    before = logits(model, rows)
    train(model, rows)
    after = logits(model, rows)
    assert after.shape == (3, 12, 2)
    assert (fields["kind"] == "none") == torch.equal(before, after)

    if model.stored == "nothing":
        with pytest.raises(TuningError, match="Nothing was trained"):
            model.save(tmp_path)
        return
    folder = model.save(tmp_path)
    assert folder == tmp_path / model.stored
    again = load_tuned(encoder(), folder, tuning(**fields))
    torch.testing.assert_close(logits(again, rows), after, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_all_linear_reaches_every_linear_layer_but_the_head(name: str) -> None:
    plain = encoder(name)
    model = tuned(name, kind="lora", rank=2)
    adapted = {
        parameter.removeprefix("base_model.model.").removesuffix(".lora_A.default.weight")
        for parameter in model.expected
        if "lora_A" in parameter
    }
    backbone = plain.base_model_prefix
    linear = {
        layer
        for layer, module in plain.named_modules()
        if isinstance(module, torch.nn.Linear) and layer.startswith(f"{backbone}.")
    }
    assert adapted == linear
    assert len(linear) >= 8
    assert all(any(f".{part}." in entry for entry in model.expected) for part in head_names(plain))


@pytest.mark.parametrize("name", ENCODERS)
def test_an_untrained_adapter_changes_nothing(name: str) -> None:
    plain, lora = tuned(name, kind="none"), tuned(name, kind="lora")
    assert torch.equal(logits(lora, batch()), logits(plain, batch()))


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_shift_no_position_and_ignore_padding(name: str, kind: str) -> None:
    if kind == "prefix" and name not in ("bert", "roberta", "electra"):
        with pytest.raises(TuningError, match="past keys and values"):
            tuned(name, kind=kind)
        return
    rows = batch()
    model = tuned(name, kind=kind, virtual_tokens=7)
    train(model, rows)
    alone = model.span_logits(rows["input_ids"][2:, :8], None, rows["token_type_ids"][2:, :8])
    torch.testing.assert_close(logits(model, rows)[2, :8], alone[0], rtol=0, atol=1e-5)


def test_prefix_keys_and_values_equal_those_of_real_tokens_in_front() -> None:
    """One layer, no positions: a prefix that holds a text's keys and values is that text."""
    config = copy.deepcopy(ENCODERS["bert"])
    config.num_hidden_layers = 1
    torch.manual_seed(0)
    plain = AutoModelForQuestionAnswering.from_config(config)
    torch.nn.init.zeros_(plain.bert.embeddings.position_embeddings.weight)
    rows = batch()
    front = torch.tensor([[7, 8, 9]])
    whole = {
        "input_ids": torch.cat((front.expand(3, 3), rows["input_ids"]), dim=1),
        "attention_mask": torch.nn.functional.pad(rows["attention_mask"], (3, 0), value=1),
        "token_type_ids": torch.nn.functional.pad(rows["token_type_ids"], (3, 0)),
    }
    wanted = logits(apply_tuning(plain, tuning(kind="none"), total_steps=1, seed=0), whole)[:, 3:]
    with torch.no_grad():
        attention = plain.bert.encoder.layer[0].attention.self
        hidden = plain.bert.embeddings(front)
        held = torch.cat((attention.key(hidden), attention.value(hidden)), dim=-1)[0]
    model = apply_tuning(
        plain,
        tuning(kind="prefix", virtual_tokens=3),
        total_steps=1,
        seed=0,
    )
    model.model.get_parameter("adapted.prompt_encoder.default.embedding.weight").data.copy_(held)
    torch.testing.assert_close(logits(model, rows), wanted, rtol=0, atol=1e-6)


def test_token_types_reach_the_model() -> None:
    """PEFT's own question answering class drops them (0.21)."""
    for kind in ("lora", "prompt", "prefix", "ia3"):
        model = tuned(kind=kind)
        rows = batch()
        without = model.span_logits(rows["input_ids"], rows["attention_mask"], None)
        assert not torch.equal(logits(model, rows), without), kind


def test_the_published_distilbert_counts() -> None:
    """Full 66,364,418; LoRA of rank 8 on q and v 147,456, and the head 1,538."""
    with torch.device("meta"):
        model = AutoModelForQuestionAnswering.from_config(DistilBertConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 66_364_418
    lora = apply_tuning(
        model,
        tuning(kind="lora", rank=8, targets=["q_lin", "v_lin"]),
        total_steps=1,
        seed=0,
    )
    counts = {name: value.numel() for name, value in lora.trained_parameters().items()}
    assert sum(count for name, count in counts.items() if "lora_" in name) == 147_456
    assert sum(count for name, count in counts.items() if "qa_outputs" in name) == 1_538
    assert sum(counts.values()) == 148_994


def test_the_same_seed_gives_the_same_start_and_disturbs_no_other_random_numbers() -> None:
    torch.manual_seed(5)
    one = tuned(kind="lora", seed=3)
    drawn = torch.rand(3)
    two, three = tuned(kind="lora", seed=3), tuned(kind="lora", seed=4)
    torch.manual_seed(0)  # what `encoder` left behind
    encoder()
    assert torch.equal(drawn, torch.rand(3))
    name = next(entry for entry in one.expected if "lora_A" in entry)
    first, same, other = (model.trained_parameters()[name] for model in (one, two, three))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_lora_plus_gives_b_its_own_rate_and_vectors_no_decay() -> None:
    model = tuned(kind="lora", plus_ratio=16)
    groups = model.parameter_groups(1e-4, 0.1)
    names = {id(value): name for name, value in model.model.named_parameters()}
    seen = {
        names[id(value)]: (group["lr"], group["weight_decay"])
        for group in groups
        for value in group["params"]
    }
    assert set(seen) == model.expected
    for name, (rate, decay) in seen.items():
        assert rate == (16e-4 if "lora_B" in name else 1e-4)
        assert decay == (0.0 if name.endswith("bias") else 0.1)


def test_adalora_ranks_are_shared_out_and_its_penalty_has_a_gradient() -> None:
    model = tuned(kind="adalora", options={"init_r": 6, "target_r": 2})
    model.after_backward()
    assert any(value.grad is not None for value in model.trained_parameters().values())
    train(model, batch())
    ranks = cast("AdaLoraConfig", model.adapted.active_peft_config).rank_pattern
    assert ranks
    assert sum(map(sum, ranks.values())) == 2 * len(ranks)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "lorra"}, "Did you mean 'lora'"),
        ({"kind": "ia4"}, "Did you mean 'ia3'"),
        ({"kind": "vera", "options": {"rank": 4}}, "has no option 'rank'"),
        ({"kind": "vera", "options": {"task_type": "CAUSAL_LM"}}, "has no option 'task_type'"),
        ({"kind": "lora", "targets": ["q_lin"]}, "no linear layer named 'q_lin'"),
        ({"kind": "lora", "targets": ["qa_outputs"]}, "no linear layer named 'qa_outputs'"),
        ({"kind": "lora", "targets": ["qurey"]}, "Did you mean 'query'"),
        ({"kind": "lora", "init": "orthogonal", "rank": 3}, "even"),
        ({"kind": "adaption_prompt"}, "cannot store a trained head"),
        ({"kind": "adalora", "options": {"tinit": 9}}, "PEFT refuses these options"),
        ({"kind": "ia3", "options": {"target_modules": ["nowhere"]}}, "PEFT cannot apply 'ia3'"),
    ],
)
def test_what_does_not_fit_is_told(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TuningError, match=message) as caught:
        tuned(**fields)
    assert caught.value.exit_code == 2


def test_too_many_virtual_tokens_are_told() -> None:
    with pytest.raises(TuningError, match="128 positions") as caught:
        logits(tuned(kind="prompt", virtual_tokens=120), batch())
    assert "model.max_length=8" in caught.value.hint


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no"):
        load_tuned(encoder(), tmp_path, tuning(kind="lora"))
    with pytest.raises(RecordError, match="holds no"):
        load_tuned(encoder(), tmp_path, tuning(kind="full"))
