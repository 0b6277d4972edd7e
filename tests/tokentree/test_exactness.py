"""The check that a run makes before it shares prefixes, and that it would notice a fault."""

from __future__ import annotations

import pytest
import torch
from tests.tokentree.measure import tuned_decoder
from tests.tokentree.small import EXAMPLES, bloom, decoder, example, output_weight

from tunelab.data.reading import generate
from tunelab.data.squad import parse_squad
from tunelab.models.decoder import load_decoder
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Model, Prompt
from tunelab.recipe.schema import LoraTuning
from tunelab.tokentree import exactness, reading
from tunelab.tokentree.attention import Row, attention_masks
from tunelab.tokentree.exactness import (
    SAMPLED_TOKENS,
    Exactness,
    check_exactness,
)
from tunelab.tuning import TunedModel, apply_tuning


def check(tuned: TunedModel) -> Exactness:
    parameters = list(tuned.trained_parameters().values())
    return check_exactness(tuned.checkpoint, EXAMPLES, parameters=parameters, virtual=tuned.virtual)


@pytest.mark.parametrize("method", ["lora", "prefix"])
def test_an_exact_model_shares(method: str) -> None:
    tuned = tuned_decoder("llama", method)
    found = check(tuned)
    assert found.shares
    assert found.difference is not None
    assert 0 < found.difference <= 1e-5
    assert found.proof.held
    assert found.conditions == ()
    assert all(parameter.grad is None for parameter in tuned.trained_parameters().values())


def causal(model: object, row: Row) -> object:
    """The mistake of packing without a tree: everybody sees whatever stands before."""
    seen = torch.ones_like(row.seen).tril(row.first)
    queries = row.positions[row.first :]
    return attention_masks(model, seen, queries, row.positions, dtype=torch.float32)  # type: ignore[arg-type]


def places(model: object, row: Row) -> object:
    """The mistake of measuring windows between places."""
    counted = torch.arange(len(row.positions))
    return attention_masks(model, row.seen, counted[row.first :], counted, dtype=torch.float32)  # type: ignore[arg-type]


@pytest.mark.parametrize(("mistake", "sliding"), [(causal, False), (places, True)])
def test_a_wrong_mask_is_refused(
    mistake: object, sliding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_masks", mistake)
    found = check(tuned_decoder("mistral", "lora", sliding=sliding))
    assert not found.shares
    assert not found.proof.held
    assert "prefixes are not shared" in found.line


@pytest.mark.parametrize("mistake", [None, causal])
def test_int8_is_exact_but_for_the_rounding_of_what_it_reads(
    mistake: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
    model = Model(path="tiny", max_length=1024, quantize="int8")
    base = load_decoder(model, seed=0)
    tuned = apply_tuning(base.model, LoraTuning(kind="lora"), total_steps=1, seed=0)
    asked = parse_squad(generate("train", questions=12), source="reading")
    found = Prompter(base.tokenizer, Prompt()).encode_all(asked, max_length=None)
    if mistake:
        monkeypatch.setattr(reading, "_masks", mistake)
    parameters = list(tuned.trained_parameters().values())
    exact = check_exactness(tuned.checkpoint, found.encoded, parameters=parameters)
    assert exact.shares == (mistake is None), exact.line
    assert exact.limit == 1e-5 and any("int8" in each for each in exact.conditions)
    assert all("forward" not in vars(layer) for layer in base.model.modules())


def test_wrong_positions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = reading.lay_out

    def by_place(*args: object, **kwargs: object) -> Row:
        row = right(*args, **kwargs)  # type: ignore[arg-type]
        return Row(row.ends, torch.arange(len(row.ends)), row.first)

    monkeypatch.setattr(reading, "lay_out", by_place)
    assert not check(tuned_decoder("llama", "lora")).shares


def test_an_untuned_model_is_compared_by_its_log_probabilities() -> None:
    found = check_exactness(decoder("llama"), EXAMPLES, parameters=[])
    assert found.shares


def test_long_examples_are_measured_on_what_they_share() -> None:
    """The default budget holds one of them only, and one alone would prove nothing."""
    prompt = [index % 90 + 3 for index in range(SAMPLED_TOKENS)]
    long = [example(prompt, [answer, 2]) for answer in (5, 6, 7)]
    shown = exactness.sampled(long)
    assert len(shown) > 1
    model = decoder("llama", max_position_embeddings=1024)
    found = check_exactness(model, shown, parameters=[output_weight(model)])
    assert found.shares
    alone = [example([1, 3], [4]), example([9, 8], [7]), example([6, 5], [2])]
    assert len(exactness.sampled(alone)) == 2


def test_a_model_that_cannot_read_trees_is_told_without_a_failed_proof() -> None:
    model = bloom()
    found = check_exactness(model, EXAMPLES, parameters=list(model.parameters()))
    assert not found.shares
    assert found.proof.held
    assert "a row of its own" in found.line


def test_conditions_are_told_and_dropout_is_off_while_measuring() -> None:
    tuned = tuned_decoder("mixtral", "full", attention_dropout=0.4, router_aux_loss_coef=0.01)
    tuned.model.train()
    found = check(tuned)
    assert found.shares
    assert "dropout (up to 0.4)" in found.line
    assert "router" in found.line
    assert tuned.model.training
