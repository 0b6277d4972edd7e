"""What a run reads of its task, told without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.choices import small_tasks
from tests.free_text import CHAT, mixture

from tunelab.errors import RecipeError
from tunelab.recipe import Recipe, SquadTask, validate
from tunelab.runs.examples import Examples
from tunelab.runs.opening import open_task
from tunelab.runs.progress import Display

KINDS = ("pubmedqa", "mmlu", "arc", "hellaswag", "truthfulqa", "chat", "mixture")


@pytest.mark.parametrize("kind", KINDS)
def test_an_untuned_model_can_be_scored_on_validation(kind: str, tmp_path: Path) -> None:
    run = recipe(tasks(tmp_path)[kind])
    assert not isinstance(run.task, SquadTask)
    Examples().check([run])
    assert open_task(run, run.task, display=Display("", quiet=True)).data.validation
    on_test = run.model_copy(update={"evaluation": Recipe().evaluation})
    assert not Examples().of(on_test).validation


def test_a_validation_of_nothing_is_told(tmp_path: Path) -> None:
    task = tasks(tmp_path)["chat"] | {"validation": 0.001}
    with pytest.raises(RecipeError, match="of the 46 training examples none are held out"):
        Examples().check([recipe(task)])


def tasks(folder: Path) -> dict[str, dict[str, Any]]:
    chat = {"kind": "chat", "train": f"{CHAT}/alpaca.jsonl", "test": f"{CHAT}/test.jsonl"}
    single = small_tasks(folder) | {"chat": chat}
    shares = {kind: task | {"validation": 0.4} for kind, task in single.items()}
    return shares | {"mixture": mixture()}


def recipe(task: dict[str, Any]) -> Recipe:
    asked = {"tuning": {"kind": "none"}, "evaluation": {"split": "validation"}}
    return validate(asked | {"task": task}, source="test")
