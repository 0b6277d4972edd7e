"""tunelab's class says what lm-eval's own `hf` model says, request by request."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.lmeval.conftest import hf
from tests.lmeval.requests import PAIRS, SHOTS, instances

from tunelab.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from tunelab.lmeval.model import TunelabLM


def test_pairs_are_tokenised_alike(theirs: Any, ours: TunelabLM) -> None:
    for (context, continuation), found in zip(PAIRS, ours.encoding.pairs(PAIRS), strict=True):
        if context:
            wanted = theirs._encode_pair(context, continuation)
            assert found.targets == tuple(wanted[1])
            assert tuple(wanted[0])[-len(found.context) :] == found.context
            assert len(found.context) == len(wanted[0]) or len(found.inputs) == ours.max_length
        else:
            assert found.context == (theirs.prefix_token_id,)


def test_log_likelihoods_are_those_of_hf(
    theirs: Any, ours: TunelabLM, caplog: pytest.LogCaptureFixture
) -> None:
    asked = instances("loglikelihood", list(PAIRS))
    before = ours.encoding.truncated
    with caplog.at_level(logging.WARNING, logger="lm_eval.tunelab"):
        found = ours.loglikelihood(asked, disable_tqdm=True)
    wanted = theirs.loglikelihood(asked, disable_tqdm=True)
    assert [each[0] for each in found] == pytest.approx([each[0] for each in wanted], abs=1e-4)
    assert [each[1] for each in found] == [each[1] for each in wanted]
    assert ours.encoding.truncated - before == 1
    assert "1 requests are longer than the 2048 tokens" in caplog.text
    assert ours.get_model_info()["requests_cut_on_the_left"] >= 1


def test_rolling_windows_are_those_of_hf(theirs: Any, ours: TunelabLM) -> None:
    asked = instances("loglikelihood_rolling", [("Bob has a dog. " * 700,), ("Alice.",)])
    found = ours.loglikelihood_rolling(asked, disable_tqdm=True)
    wanted = theirs.loglikelihood_rolling(asked, disable_tqdm=True)
    assert found == pytest.approx(wanted, rel=1e-6)
    assert len(ours.tok_encode("Bob has a dog. " * 700)) > 2 * ours.max_length  # several windows


def test_answers_are_those_of_hf(theirs: Any, ours: TunelabLM) -> None:
    said = theirs.generate_until(
        instances("generate_until", [(SHOTS, {"until": [], "max_gen_toks": 12})]), disable_tqdm=True
    )[0]
    stop = said[len(said) // 2 :][:2]
    settings: list[dict[str, Any]] = [
        {"until": [], "max_gen_toks": 12},
        {"until": [stop, "never said"], "max_gen_toks": 12, "do_sample": False},
        {"until": stop, "max_gen_toks": 3},
    ]
    asked = [(text, each) for each in settings for text in (SHOTS, "Who lives here?", "a " * 3000)]
    found = ours.generate_until(instances("generate_until", asked), disable_tqdm=True)
    assert found == theirs.generate_until(instances("generate_until", asked), disable_tqdm=True)
    assert len(found[3]) < len(found[0])


def test_sampling_follows_the_seed(ours: TunelabLM) -> None:
    import torch

    asked = instances(
        "generate_until", [("Who?", {"until": ["\n"], "max_gen_toks": 8, "temperature": 1.5})] * 2
    )
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(ours.generate_until(asked, disable_tqdm=True))
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_lora_run_is_read_with_its_adapter(
    small_decoder: Path, tmp_path: Path, theirs: Any
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from tunelab.lmeval.model import TunelabLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(str(small_decoder))
    adapted = get_peft_model(base, LoraConfig(init_lora_weights=False, target_modules="all-linear"))
    adapted.save_pretrained(str(tmp_path / "adapter"))
    asked = instances("loglikelihood", list(PAIRS[:9]))
    found = TunelabLM(str(tmp_path / "adapter"), device="cpu").loglikelihood(asked, True)
    peft = hf(small_decoder, peft=str(tmp_path / "adapter"))
    wanted = [each[0] for each in peft.loglikelihood(asked, True)]
    assert [each[0] for each in found] == pytest.approx(wanted, abs=1e-4)
    untuned = [each[0] for each in theirs.loglikelihood(asked, True)]
    assert wanted != pytest.approx(untuned, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pathh": "tiny"}, "Did you mean 'path'?"),
        ({}, "--model_args path="),
        ({"path": "tiny", "num_beams": 3}, "Allowed: add_bos_token"),
    ],
)
def test_wrong_arguments_are_told(arguments: dict[str, Any], told: str) -> None:
    from tunelab.lmeval.model import TunelabLM

    with pytest.raises(UsageError) as caught:
        TunelabLM.create_from_arg_obj(arguments, {"batch_size": 1, "device": None})
    assert told in caught.value.hint


def test_an_encoder_is_refused(small_encoder: Path) -> None:
    from tunelab.lmeval.model import TunelabLM

    with pytest.raises(ModelError, match="reads both ways"):
        TunelabLM(str(small_encoder))


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"top_k": 3}, UsageError, "without 'top_k'"),
        ({"do_sample": True, "temperature": 0.0}, UsageError, "temperature=0"),
        ({"max_gen_toks": 5000}, DataError, "no room for a prompt"),
    ],
)
def test_what_cannot_be_generated_is_told(
    ours: TunelabLM, settings: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        ours.generate_until(instances("generate_until", [("Who?", settings)]), disable_tqdm=True)


@pytest.mark.parametrize(
    ("asked", "is_there"),
    [("cuda", True), ("cuda:0", True), ("cuda:1", False), ("cpu", False)],
)
def test_a_device_without_a_number_is_any_of_its_kind(asked: str, is_there: bool) -> None:
    import torch

    from tunelab.lmeval.loading import _is_on

    assert _is_on(torch.device("cuda:0"), torch.device(asked)) == is_there
