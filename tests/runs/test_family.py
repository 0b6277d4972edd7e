"""Settings that a model or a task would not heed are refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunelab.errors import RecipeError
from tunelab.recipe import validate
from tunelab.runs.family import check_family

CHOICES = {"kind": "pubmedqa", "test": "ori_pqal.json"}
SQUAD = {"train": "train.json", "test": "test.json"}


def check(model: Path, task: dict[str, Any], **groups: Any) -> None:
    settings = {"path": str(model), "max_length": 160, "stride": 40}
    check_family(validate({"task": task, "model": settings} | groups, source="the test"))


def test_gradient_checkpointing_is_for_decoders(small_encoder: Path, small_decoder: Path) -> None:
    training = {"gradient_checkpointing": True}
    check(small_decoder, SQUAD, training=training)
    for task in (SQUAD, CHOICES):
        with pytest.raises(RecipeError, match=r"gradient_checkpointing is set.* is an encoder"):
            check(small_encoder, task, training=training)


@pytest.mark.parametrize(
    "evaluation", [{"constrain": "span"}, {"force_start": True}, {"reasoning_limit": 4}]
)
def test_constraints_are_for_questions_on_a_text(
    evaluation: dict[str, Any], small_decoder: Path
) -> None:
    with pytest.raises(RecipeError, match=r"are for task\.kind=squad, not pubmedqa"):
        check(small_decoder, CHOICES | {"read": "generation"}, evaluation=evaluation)


def test_a_way_of_decoding_is_for_answers_that_are_written(small_decoder: Path) -> None:
    sampled = {"decoding": "sample"}
    check(small_decoder, CHOICES | {"read": "generation"}, evaluation=sampled)
    with pytest.raises(RecipeError, match=r"those of task\.kind=pubmedqa are weighed"):
        check(small_decoder, CHOICES, evaluation=sampled)
