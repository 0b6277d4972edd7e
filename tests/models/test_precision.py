"""What is said of `model.dtype`."""

from __future__ import annotations

import pytest
import torch

from tunelab.models import precision
from tunelab.models.precision import precision_notes
from tunelab.recipe import Model


def test_float32_needs_no_word() -> None:
    assert precision_notes(Model(dtype="f32"), trains=True) == ()


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_told_where_it_is_the_slow_one(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: native)
    said = precision_notes(Model(dtype="bf16"), trains=True)
    assert [("f32" in sentence) for sentence in said] == ([] if native else [True])


def test_weights_in_bfloat16_are_told_where_they_are_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert precision_notes(Model(dtype="bf16-true"), trains=False) == ()
    [said] = precision_notes(Model(dtype="bf16-true"), trains=True)
    weight = torch.tensor(1.0, dtype=torch.bfloat16)
    assert "1/256" in said
    assert weight - 1 / 512 * 0.9 == weight, "such a step is lost indeed"
