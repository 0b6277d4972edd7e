"""Rows of conversations and free-text questions: every form is read, every mistake is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tunelab.data import Turn, load_written
from tunelab.errors import DataError
from tunelab.recipe import ChatTask, TextQaTask

HI = [("user", "Hi"), ("assistant", "Hello!"), ("user", "Well?"), ("assistant", "Yes.")]
MESSAGES = {"messages": [{"role": role, "content": text} for role, text in HI]}
SHAREGPT = {
    "conversations": [
        {"from": {"user": "human", "assistant": "gpt"}[role], "value": text} for role, text in HI
    ],
    "messages": None,
}
ALPACA = {"instruction": "Greet.", "input": "Ada", "output": "Hello, Ada!"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    match path.suffix:
        case ".json":
            path.write_text(json.dumps(rows, indent=1))
        case ".gz":
            path.write_bytes(gzip.compress(lines.encode()))
        case ".parquet":
            pyarrow = pytest.importorskip("pyarrow", reason="pyarrow comes with datasets")
            from pyarrow import parquet

            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        case _:
            path.write_text(lines)
    return path


def chat(path: Path, **settings: Any) -> ChatTask:
    return ChatTask(kind="chat", test=(str(path),), **settings)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.parquet"])
def test_every_form_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    for row in (MESSAGES, SHAREGPT):
        [read] = load_written(chat(write(tmp_path / name, [row])), training=False).test
        assert [(turn.role, turn.text) for turn in read.turns] == HI
        assert read.replies == ("Hello!", "Yes.")
        assert read.gold == ("Yes.",)
    [read] = load_written(chat(write(tmp_path / name, [ALPACA])), training=False).test
    assert read.turns == (Turn("user", "Greet.\n\nAda"), Turn("assistant", "Hello, Ada!"))


def test_a_system_message_may_stand_beside_the_turns(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [SHAREGPT | {"system": "Be short."}])
    [read] = load_written(chat(path), training=False).test
    assert read.turns[0] == Turn("system", "Be short.")


TOLD = [
    ({"messages": [{"role": "user", "content": "Hi"}]}, "no turn of the assistant"),
    ({"messages": [{"role": "asistant", "content": "Hi"}]}, "unknown role 'asistant'"),
    ({"messages": [{"role": "tool", "content": "Hi"}]}, "unknown role 'tool'"),
    ({"messages": [*MESSAGES["messages"], {"role": "user", "content": " "}]}, "turn 5 is empty"),
    ({"messages": [*MESSAGES["messages"], {"role": "user", "content": "So?"}]}, "has no reply"),
    ({"messages": MESSAGES["messages"][1:]}, "turn 1 is the assistant's"),
    ({"messages": [{"role": "user", "from": "human", "content": "Hi"}]}, "both role/content and"),
    ({"messages": [{"role": "user", "content": ["Hi"]}]}, "should be text; found a list"),
    ({"messages": "Hi"}, "should be a list"),
    ({"messages": ["Hi"]}, "turn 1 should be an object"),
    (MESSAGES | ALPACA, "both messages and instruction"),
    ({"text": "Hi"}, "the keys text"),
    ({"instruction": "Greet.", "output": 7}, "'output' should be text; found a int"),
]


@pytest.mark.parametrize(("row", "told"), TOLD, ids=[told for _, told in TOLD])
def test_a_bad_row_is_told_by_file_and_line(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    path = write(tmp_path / "rows.jsonl", [MESSAGES, row])
    with pytest.raises(DataError, match=r"rows\.jsonl: line 2") as caught:
        load_written(chat(path), training=False)
    assert told in caught.value.problem
    assert caught.value.hint
    kept = load_written(chat(path, bad_rows="leave-out"), training=False)
    assert len(kept.test) == 1
    assert "1 rows that cannot be read were left out" in kept.notes[0]


def test_what_is_tested_is_not_trained_and_repeats_have_ids_of_their_own(tmp_path: Path) -> None:
    rows = [ALPACA | {"input": str(number)} for number in range(20)]
    train = write(tmp_path / "train.jsonl", [*rows, *rows[:5]])
    test = write(tmp_path / "test.jsonl", rows[:2])
    data = load_written(chat(test, train=(str(train),), validation=0.2))
    everything = [*data.train, *data.validation]
    assert len(everything) == 25 - 4
    assert len({each.id for each in everything}) == len(everything)
    assert not {each.turns for each in everything} & {each.turns for each in data.test}
    assert not {each.group for each in data.train} & {each.group for each in data.validation}
    assert "4 training rows are also tested and left out" in data.notes


def test_training_without_training_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"task\.train names nothing"):
        load_written(chat(write(tmp_path / "rows.jsonl", [MESSAGES])))


def test_questions_on_a_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"context": "Ada wrote it.", "question": "Who?", "answers": ["Ada", "Ada did"], "id": 7},
        {"context": "Ada wrote it.", "question": "What?", "answers": {"text": ["It"]}},
        {"question": "Why?", "answers": "Nobody knows."},
    ]
    task = TextQaTask(kind="text-qa", test=(str(write(tmp_path / "rows.jsonl", rows)),))
    found = {each.turns[0].text: each for each in load_written(task, training=False).test}
    assert found["Ada wrote it.\n\nWho?"].gold == ("Ada", "Ada did")
    assert found["Ada wrote it.\n\nWho?"].id == "7"
    assert found["Why?"].turns[-1].text == "Nobody knows."
    assert found["Ada wrote it.\n\nWho?"].group == found["Ada wrote it.\n\nWhat?"].group
    for bad, told in (
        ({"answers": []}, "has no answer"),
        ({"answers": None}, "list of texts"),
        ({"question": ""}, "'question' is empty"),
    ):
        path = write(tmp_path / "bad.jsonl", [rows[0] | bad])
        with pytest.raises(DataError, match=r"bad\.jsonl: line 1") as caught:
            load_written(task.model_copy(update={"test": (str(path),)}), training=False)
        assert told in caught.value.problem
