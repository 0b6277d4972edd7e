"""Quantised bases: what they hold, what they refuse, and that packed layers are exact."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, PretrainedConfig

from tunelab.errors import ModelError, TuningError
from tunelab.models import quantise_gptq
from tunelab.models.decoder import load_decoder
from tunelab.models.loading import weights_digest
from tunelab.models.quantise import check_installed, refuse_other_precision
from tunelab.models.quantise_gptq import Calibration
from tunelab.models.quantise_held import dequantise, held_bytes, measure, parameter_count
from tunelab.models.quantise_packed import PackedLinear
from tunelab.recipe import LoraTuning, Model
from tunelab.recipe.schema import FullTuning
from tunelab.tuning.apply import check_tuning

IDS = torch.tensor([[5, 9, 60, 33, 70, 8], [5, 9, 61, 34, 71, 9]])
ROWS = tuple(tuple(range(start, start + 40)) for start in range(4, 204, 10))


def packed_layer(bits: int) -> tuple[PackedLinear, Tensor]:
    """A layer of 6 x 8 with two groups, and the weights that it stands for."""
    torch.manual_seed(bits)
    limit = 2 ** (bits - 1)
    integers = torch.randint(-limit, limit, (6, 8), dtype=torch.int8)
    scale = torch.rand(6, 2) + 0.5
    weight = integers * scale.repeat_interleave(4, dim=1)
    return PackedLinear(integers, scale, torch.rand(6), bits=bits), weight


@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_layer_is_the_linear_layer_it_stands_for(bits: int) -> None:
    layer, weight = packed_layer(bits)
    x = torch.rand(3, 8, requires_grad=True)
    y = torch.rand(3, 8, requires_grad=True)
    with torch.no_grad():
        y.copy_(x)
    torch.testing.assert_close(layer(x), nn.functional.linear(y, weight, layer.bias))
    layer(x).square().sum().backward()
    nn.functional.linear(y, weight, layer.bias).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_layer_keeps_no_unpacked_weight_for_the_backward_pass(bits: int) -> None:
    layer, weight = packed_layer(bits)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(torch.rand(3, 8, requires_grad=True)).sum()
    assert not any(tensor.numel() == weight.numel() for tensor in kept)
    assert sum(each.numel() * each.itemsize for each in layer.buffers()) == bits * 6 + 6 * 2 * 4


def test_a_packed_layer_is_the_same_when_its_activations_are_computed_twice() -> None:
    layer, _ = packed_layer(4)
    found: list[Tensor | None] = []
    for twice in (False, True):
        x = torch.ones(3, 8, requires_grad=True)
        y = checkpoint(layer, x, use_reentrant=False) if twice else layer(x)
        y.square().sum().backward()
        found.append(x.grad)
    assert found[0] is not None and found[1] is not None
    assert torch.equal(found[0], found[1])


def test_writing_to_a_packed_weight_is_refused_rather_than_lost() -> None:
    layer, _ = packed_layer(4)
    with pytest.raises(TypeError, match="cannot be changed"):
        layer.weight.data += 1
    with pytest.raises(TypeError, match="cannot be changed"):
        layer.weight.data = torch.zeros(6, 8)


def test_lora_and_dora_on_packed_layers_have_the_gradients_of_plain_ones() -> None:
    layer, _ = packed_layer(4)
    plain = nn.Linear(8, 6)
    with torch.no_grad():
        plain.weight.copy_(layer.unpacked())
        plain.bias.copy_(layer.bias)
    x = torch.rand(3, 8)
    found: list[list[Tensor]] = []
    for base in (layer, plain):
        torch.manual_seed(0)
        config = LoraConfig(r=2, target_modules=["0"], use_dora=True, init_lora_weights=False)
        adapted = get_peft_model(nn.Sequential(copy.deepcopy(base)), config)
        adapted(x).square().sum().backward()
        found.append([p.grad for p in adapted.parameters() if p.grad is not None])
    assert len(found[0]) == 3
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("precision", "bits"), [("int8", 8), ("nf4", 4), ("gptq-int4", 4), ("gptq-int8", 8)]
)
def test_a_base_is_held_in_the_bits_that_were_asked_for(
    precision: Any, bits: int, wide_decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "llmcompressor" if precision.startswith("gptq") else "bitsandbytes"
    pytest.importorskip(package, reason=f"the extra with {package} is not installed")
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path))

    def load(asked: Any) -> Any:
        settings = Model(path=str(wide_decoder), max_length=200, quantize=asked)
        return load_decoder(
            settings, seed=0, calibrating=lambda _: Calibration(ROWS, "numbers")
        ).model

    plain, base = load("none"), load(precision)
    found = measure(base)
    assert found is not None
    assert found.layers == 14
    assert found.nominal_bits == bits
    assert bits < found.bits < bits + 1
    assert parameter_count(base) == parameter_count(plain)
    assert held_bytes(base) < held_bytes(plain)
    assert weights_digest(base) == weights_digest(load(precision))  # made once, and the same
    with torch.no_grad():
        told = base(input_ids=IDS).logits
        wanted = plain(input_ids=IDS).logits
        unpacked = dequantise(base, dtype=torch.float32)(input_ids=IDS).logits
    scale = wanted.abs().max()
    assert 0 < (told - wanted).abs().max() < scale  # it is quantised, and not something else
    assert (unpacked - told).abs().max() <= scale * (0.05 if precision == "int8" else 1e-5)
    assert measure(base) is None
    assert len(list(tmp_path.glob("gptq/*/tunelab.json"))) == precision.startswith("gptq")


@pytest.mark.parametrize("there", ["nothing", "a finished base", "an unfinished base"])
def test_a_base_is_put_in_place_whole(
    there: str, wide_decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another run leaves in its place meanwhile."""
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path))
    places: list[Path] = []

    def make(_settings: Model, _calibration: Calibration, _tokenizer: Any, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_text("ours")
        for place in places:
            place.mkdir()
            (place / "model.safetensors").write_text("theirs")
            if there == "a finished base":
                (place / "tunelab.json").write_text("{}")

    monkeypatch.setattr(quantise_gptq, "_make", make)
    settings = Model(path=str(wide_decoder), max_length=200, quantize="gptq-int4")
    calibration = Calibration(ROWS, "numbers")
    tokenizer: Any = None
    place = quantise_gptq.gptq_base(settings, calibration, tokenizer)
    if there != "nothing":
        shutil.rmtree(place)
        places.append(place)
        assert quantise_gptq.gptq_base(settings, calibration, tokenizer) == place
    finished_first = there == "a finished base"
    told = (place / "model.safetensors").read_text()
    assert told == ("theirs" if finished_first else "ours")
    assert (place / "tunelab.json").exists()
    assert list(place.parent.iterdir()) == [place]  # nothing is left beside it


def test_two_that_finish_at_once_do_not_collide(tmp_path: Path) -> None:
    place = tmp_path / "base"
    for name in ("one", "two"):
        made = tmp_path / name
        made.mkdir()
        (made / "model.safetensors").write_text(name)
        (made / "tunelab.json").write_text("{}")
        quantise_gptq._put_in_place(made, place)
    assert (place / "model.safetensors").read_text() == "one"


def test_gptq_refuses_widths_encoders_and_missing_calibration(
    small_decoder: Path, small_encoder: Path, wide_decoder: Path
) -> None:
    pytest.importorskip("llmcompressor", reason="the extra `gptq` is not installed")
    from tunelab.models.encoder import load_encoder

    with pytest.raises(ModelError, match=r"divide by 128, but .*q_proj.* has 32"):
        load_decoder(Model(path=str(small_decoder), max_length=200, quantize="gptq-int4"), seed=0)
    with pytest.raises(ModelError, match="needs text to calibrate on"):
        load_decoder(Model(path=str(wide_decoder), max_length=200, quantize="gptq-int4"), seed=0)
    with pytest.raises(ModelError, match="is for decoders"):
        load_encoder(Model(path=str(small_encoder), max_length=200, quantize="gptq-int8"), seed=0)


def test_a_checkpoint_in_another_format_is_refused(small_decoder: Path) -> None:
    def quantised(**told: Any) -> PretrainedConfig:
        config = AutoConfig.from_pretrained(small_decoder)
        config.quantization_config = told
        return config

    settings = Model(path="x", quantize="gptq-int4")
    with pytest.raises(ModelError, match=r"already quantised \(awq\)"):
        refuse_other_precision(settings, quantised(quant_method="awq"))
    nf4 = quantised(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    with pytest.raises(ModelError, match=r"already quantised \(nf4\), but .* gptq-int4"):
        refuse_other_precision(settings, nf4)
    refuse_other_precision(Model(path="x", quantize="nf4"), nf4)


def test_missing_packages_are_told_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError) as caught:
        check_installed("nf4")
    assert caught.value.hint == "pip install 'tunelab[quant]'"


def test_methods_that_would_have_to_change_the_base_are_refused() -> None:
    with pytest.raises(TuningError, match="stores the whole model"):
        check_tuning(FullTuning(kind="full"), "nf4")
    with pytest.raises(TuningError, match="pissa moves a part of the weights"):
        check_tuning(LoraTuning(kind="lora", init="pissa"), "gptq-int4")
    check_tuning(LoraTuning(kind="lora", dora=True), "int8")
