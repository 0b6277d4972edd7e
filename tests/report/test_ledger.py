"""The forgetting ledger compares a method with the untuned model that was asked as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.report.studies import Writer, predictions

from tunelab.report.ledger import read_ledger
from tunelab.report.study import read_study


@pytest.mark.parametrize(
    ("path", "values", "told"),
    [
        ("prompt.style", ["plain", "chat-json"], "style=chat-json"),
        ("evaluation.decoding", ["greedy", "beams"], "decoding=beams"),
        ("model.max_length", [384, 512], None),
    ],
)
def test_every_way_of_asking_has_its_own_untuned_model(
    path: str, values: list[Any], told: str | None, tmp_path: Path
) -> None:
    content = {"task": {"version": "1.1"}, "also_evaluate": ["mmlu"], "grid": {path: values}}
    writer = Writer(tmp_path / "out", content)
    labels = [label for label, _ in writer.runs]
    assert told is None or labels[-1].endswith(told)
    for label, untuned in zip(labels, (8, 24), strict=True):
        writer.write(label, 0, predictions([True] * 32))
        writer.write_untuned(label, predictions([index < untuned for index in range(32)]))
    accounts = read_ledger(read_study(writer.out))
    assert [account.entries[0].base for account in accounts] == [25.0, 75.0]
    assert [account.gained for account in accounts] == [75.0, 25.0]
