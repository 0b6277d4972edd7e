"""Likelihoods of finished sequences, of models that cannot share and of models that broke."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.tokentree.measure import plain_log_probs
from tests.tokentree.small import EXAMPLES, bloom, decoder, output_weight
from transformers import PreTrainedModel

from tunelab.errors import DivergedError, ModelError
from tunelab.evaluation.likelihood import log_likelihoods, target_sums
from tunelab.recipe import NoTuning
from tunelab.tokentree.head import proven_head
from tunelab.tuning import TunedModel, apply_tuning


def untuned(model: PreTrainedModel) -> TunedModel:
    return apply_tuning(model, NoTuning(kind="none"), total_steps=1, seed=0)


@torch.no_grad()
@pytest.mark.parametrize("weigh", [target_sums, log_likelihoods])
def test_a_model_that_cannot_share_reads_one_by_one(
    weigh: Callable[..., list[float]],
) -> None:
    tuned = untuned(bloom())
    found = weigh(tuned, EXAMPLES, share=True, tokens_per_pass=100)
    wanted = [float(plain_log_probs(tuned, example).sum()) for example in EXAMPLES]
    assert found == pytest.approx(wanted, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("weigh", [target_sums, log_likelihoods])
def test_weights_that_are_no_numbers_are_told(weigh: Callable[..., list[float]]) -> None:
    model = decoder("llama")
    proven_head(model)  # as before a training that diverges
    output_weight(model).fill_(torch.nan)
    with pytest.raises(DivergedError, match="log-probability nan"):
        weigh(untuned(model), EXAMPLES, share=True, tokens_per_pass=100)


@torch.no_grad()
def test_a_head_that_gives_no_numbers_is_not_proven() -> None:
    model = decoder("llama")
    output_weight(model).fill_(torch.nan)
    with pytest.raises(ModelError, match="differ by nan"):
        proven_head(model)
