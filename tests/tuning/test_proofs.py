"""Faults as they happened to others, planted one by one; every one is caught and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tuning.small import ENCODERS, batch, encoder, logits, loss, tuned
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import ProofError
from tunelab.models.quantise_held import Held
from tunelab.records import Proof
from tunelab.tuning import TrainingWatch, TunedModel, reload_proofs
from tunelab.tuning import proofs as module
from tunelab.tuning.proofs import WATCHED_STEPS, checksum

METHODS: list[dict[str, Any]] = [
    {"kind": "full"},
    {"kind": "head"},
    {"kind": "lora"},
    {"kind": "lora", "dora": True},
    {"kind": "lora", "init": "pissa"},
    {"kind": "prefix"},
    {"kind": "prompt"},
    {"kind": "ia3"},
    {"kind": "adalora"},
    {"kind": "vera"},
    {"kind": "oft", "options": {"oft_block_size": 8}},
]


def watched(
    model: TunedModel,
    *,
    steps: int = 6,
    rates: Callable[[int], float] = lambda _: 1e-2,
    optimizer: torch.optim.Optimizer | None = None,
    after_start: Callable[[], None] = lambda: None,
) -> list[Proof]:
    """Train a few steps under watch, as the training loop does."""
    optimizer = optimizer or torch.optim.AdamW(model.parameter_groups(1e-2, 0.01))
    watch = TrainingWatch(model)
    watch.before(optimizer)
    after_start()
    model.model.train()
    for index in range(steps):
        loss(model, batch()).backward()
        model.after_backward()
        watch.after_backward()
        for group in optimizer.param_groups:
            group["lr"] = rates(index)
        optimizer.step()
        watch.after_step()
        model.after_step(index)
        optimizer.zero_grad()
    model.model.eval()
    return watch.proofs()


def reloaded(model: TunedModel, folder: Path, *, base: str = "bert") -> list[Proof]:
    return reload_proofs(model, folder, lambda: encoder(base), lambda m: logits(m, batch()))


def by_name(proofs: list[Proof]) -> dict[str, Proof]:
    return {proof.name: proof for proof in proofs}


def lora_tensors(model: TunedModel) -> dict[str, nn.Parameter]:
    return {name: t for name, t in model.model.named_parameters() if "lora_" in name}


@pytest.mark.parametrize("fields", METHODS, ids=str)
def test_an_honest_run_holds_every_proof(fields: dict[str, Any], tmp_path: Path) -> None:
    model = tuned(**fields)
    proofs = watched(model) + reloaded(model, model.save(tmp_path))
    assert [proof for proof in proofs if not proof.held] == []
    assert len(proofs) >= 6


@pytest.mark.parametrize("name", ENCODERS)
def test_full_and_lora_are_proved_on_every_architecture(name: str) -> None:
    for kind in ("full", "lora"):
        assert all(proof.held for proof in watched(tuned(name, kind=kind)))


def test_frozen_lora_matrices_are_caught_before_the_first_step() -> None:
    """The published DistilBERT project trained its head alone under the name of LoRA."""
    model = tuned(kind="lora")
    for tensor in lora_tensors(model).values():
        tensor.requires_grad_(False)
    with pytest.raises(ProofError) as caught:
        watched(model)
    message = str(caught.value)
    assert "66 in 2 require a gradient" in message  # a head of 2 x 32 + 2
    assert "frozen: bert.encoder.layer.0.attention.self.query.lora_A" in message
    assert "requires_grad" in caught.value.hint


def test_an_optimiser_without_anything_is_caught() -> None:
    model = tuned(kind="lora")
    model.model.requires_grad_(False)
    with pytest.raises(ProofError, match="would train 0 of the 26 tensors"):
        watched(model)


def test_lora_matrices_frozen_during_training_are_caught() -> None:
    model = tuned(kind="lora")

    def freeze() -> None:
        for tensor in lora_tensors(model).values():
            tensor.requires_grad_(False)

    with pytest.raises(ProofError, match="24 of them do not require a gradient") as caught:
        watched(model, after_start=freeze)
    assert "trained 66 parameters under the name of 'lora'" in caught.value.hint


def test_one_frozen_matrix_among_many_is_named() -> None:
    model = tuned(kind="lora")
    name, tensor = next((n, t) for n, t in lora_tensors(model).items() if "lora_B" in n)
    tensor.requires_grad_(False)
    with pytest.raises(ProofError) as caught:
        watched(model)
    assert f"frozen: {name.removeprefix('base_model.model.').replace('.default', '')}." in str(
        caught.value
    )


def test_a_hook_that_erases_gradients_is_caught() -> None:
    model = tuned(kind="lora")
    for tensor in lora_tensors(model).values():
        tensor.register_hook(torch.zeros_like)
    with pytest.raises(ProofError, match="exactly zero"):
        watched(model)


def test_a_detached_backbone_is_caught() -> None:
    model = tuned(kind="lora")

    def cut(_module: nn.Module, _inputs: object, output: Any) -> Any:
        output["last_hidden_state"] = output["last_hidden_state"].detach()
        return output

    model.checkpoint.base_model.register_forward_hook(cut)
    with pytest.raises(ProofError, match="24 of them take no part in the loss"):
        watched(model)


def test_an_optimiser_that_holds_nothing_of_the_method_is_caught() -> None:
    model = tuned(kind="lora")
    heads = [t for name, t in model.trained_parameters().items() if "qa_outputs" in name]
    with pytest.raises(ProofError, match="holds 2 tensors, of which 2 are among the 26"):
        watched(model, optimizer=torch.optim.AdamW(heads))
    stranger = nn.Parameter(torch.zeros(1))
    with pytest.raises(ProofError, match=r"lacks bert\.encoder"):
        watched(model, optimizer=torch.optim.AdamW([stranger]))


def test_an_unfrozen_base_is_caught() -> None:
    model = tuned(kind="lora")
    model.checkpoint.requires_grad_(True)
    with pytest.raises(ProofError, match=r"should be frozen: bert\.embeddings"):
        watched(model)


def test_a_rate_of_zero_moves_nothing_and_is_caught() -> None:
    proof = by_name(watched(tuned(kind="lora"), rates=lambda _: 0.0))["what should train moves"]
    assert not proof.held
    assert proof.found.startswith("0 of 26 tensors")


def test_a_warm_up_from_zero_is_no_fault() -> None:
    proofs = watched(tuned(kind="full"), steps=12, rates=lambda i: 0.0 if i < 7 else 1e-2)
    assert all(proof.held for proof in proofs)


def test_a_base_that_is_written_to_is_caught() -> None:
    model = tuned(kind="lora")

    def write() -> None:
        with torch.no_grad():
            model.checkpoint.get_input_embeddings().get_parameter("weight").view(-1)[7] += 1e-6

    proof = by_name(watched(model, after_start=write))["what is frozen stays"]
    assert not proof.held
    assert "changed: bert.embeddings.word_embeddings.weight" in proof.found


def test_key_biases_may_lack_a_gradient_and_are_named() -> None:
    model = tuned(kind="full")
    biases = {n: t for n, t in model.model.named_parameters() if n.endswith("key.bias")}
    for tensor in biases.values():
        tensor.register_hook(torch.zeros_like)
    proof = by_name(watched(model))["gradients arrive"]
    assert proof.held
    assert "biases of attention keys have none by nature: bert.encoder.layer.0" in proof.found
    query = next(t for n, t in model.model.named_parameters() if n.endswith("query.bias"))
    query.register_hook(torch.zeros_like)
    with pytest.raises(ProofError, match=r"never: bert.encoder.layer.0.attention.self.query.bias"):
        watched(model)


def test_a_run_resumed_after_its_last_step_is_proved_by_what_moved() -> None:
    model = tuned(kind="lora")
    watch = TrainingWatch(model)
    watch.before(torch.optim.AdamW(model.parameter_groups(1e-2, 0.0)))
    with torch.no_grad():  # what loading a checkpoint does
        for tensor in model.trained_parameters().values():
            tensor.add_(0.01)
    assert all(proof.held for proof in watch.proofs())


def test_a_resumed_run_still_proves_that_its_base_stayed_quantised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tuned(kind="lora")
    monkeypatch.setattr(module, "measure", lambda _: Held(1, weights=8, nominal_bits=4, bytes=5))
    watch = TrainingWatch(model)
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-2, 0.0))
    watch.before(optimizer)
    for _ in range(WATCHED_STEPS):
        loss(model, batch()).backward()
        watch.after_backward()
        optimizer.step()
        watch.after_step()
    resumed = TrainingWatch(model)
    resumed.remember(watch.seen())
    [proof] = [each for each in resumed.proofs() if each.name == "a quantised base stays quantised"]
    assert proof.held
    assert proof.found == by_name(watch.proofs())[proof.name].found


def test_the_watch_looks_away_after_its_steps() -> None:
    model = tuned(kind="lora")
    watch = TrainingWatch(model)
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-2, 0.0))
    watch.before(optimizer)
    for _ in range(WATCHED_STEPS):
        loss(model, batch()).backward()
        watch.after_backward()
        optimizer.step()
        watch.after_step()
        optimizer.zero_grad()
    watch.after_backward()  # no gradients are there any more, and none are asked for
    assert f"within {WATCHED_STEPS} steps" in by_name(watch.proofs())["gradients arrive"].found


def test_a_head_that_was_not_stored_is_caught(tmp_path: Path) -> None:
    model = tuned(kind="lora")
    watched(model)
    folder = model.save(tmp_path)
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    kept = {name: tensor for name, tensor in tensors.items() if "qa_outputs" not in name}
    assert len(kept) == len(tensors) - 2
    save_file(kept, weights)
    proof = by_name(reloaded(model, folder))["the stored weights are the trained ones"]
    assert not proof.held
    assert "lacks weights: KeyError: 'base_model.model.qa_outputs.weight'" in proof.found


def test_a_tensor_that_was_not_stored_is_named(tmp_path: Path) -> None:
    model = tuned(kind="lora")
    watched(model)
    folder = model.save(tmp_path)
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file(
        {name: t for name, t in tensors.items() if "0.attention.self.key.lora_B" not in name},
        weights,
    )
    proof = by_name(reloaded(model, folder))["the stored weights are the trained ones"]
    assert not proof.held
    assert "0.attention.self.key.lora_B.default.weight (1 in all)" in proof.found


def test_another_checkpoint_under_the_adapter_is_caught(tmp_path: Path) -> None:
    model = tuned(kind="lora")
    watched(model)

    def other() -> PreTrainedModel:
        base = encoder()
        with torch.no_grad():
            base.get_input_embeddings().get_parameter("weight").mul_(1.01)
        return base

    proofs = reload_proofs(model, model.save(tmp_path), other, lambda m: logits(m, batch()))
    failed = [proof.name for proof in proofs if not proof.held]
    assert failed == ["the stored weights are the trained ones", "the merged model says the same"]


def test_a_method_whose_head_alone_moved_is_caught(tmp_path: Path) -> None:
    model = tuned(kind="lora")
    with torch.no_grad():
        for name, tensor in model.trained_parameters().items():
            if "qa_outputs" in name:
                tensor.add_(0.1)
    proof = by_name(reloaded(model, model.save(tmp_path)))["the adapter acts"]
    assert not proof.held
    assert "by up to 0 " in proof.found


def test_padding_may_be_minus_infinity(tmp_path: Path) -> None:
    model = tuned(kind="lora")
    watched(model)

    def masked(candidate: TunedModel) -> Tensor:
        hidden = batch()["attention_mask"].unsqueeze(-1) == 0
        return logits(candidate, batch()).masked_fill(hidden, -torch.inf)

    assert all(p.held for p in reload_proofs(model, model.save(tmp_path), encoder, masked))


def test_rounding_that_swallows_steps_is_told() -> None:
    model = tuned(kind="full")
    model.model.to(torch.bfloat16)
    proof = by_name(watched(model, rates=lambda _: 1e-4))["what should train moves"]
    assert proof.held
    assert "rounding swallowed every step of" in proof.found
    assert "LayerNorm.weight" in proof.found


def test_a_checksum_sees_one_bit() -> None:
    tensor = torch.randn(300, 300)
    before = checksum(tensor)
    tensor[7, 9] = torch.nextafter(tensor[7, 9], torch.tensor(9.0))
    assert checksum(tensor) != before
    assert checksum(cast("Tensor", tensor.t())) == checksum(tensor)
