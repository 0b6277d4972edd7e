"""What is taught becomes rows that `task.train` accepts, and nothing that a run is tested on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.running import run_here

from tunelab.app.asking import own_example
from tunelab.app.teaching import Taught
from tunelab.data import load_squad, read_squad
from tunelab.errors import DataError, UsageError
from tunelab.recipe import SquadTask

PARAGRAPH = (
    'The "harbour" was built in 1843 by Anna Berg. İt has two gates; Anna Berg chose them. 🚢'
)


def test_rows_are_training_questions(tmp_path: Path, small_data: Path) -> None:
    taught = Taught(tmp_path / "taught.json")
    taught.teach(own_example(PARAGRAPH, "Who built it?"), " Anna Berg ", tested=())
    taught.teach(own_example(PARAGRAPH, "When?"), "1843", tested=())
    saved = taught.teach(own_example(PARAGRAPH, "Who swept it?"), "", tested=())
    assert (saved.answer, saved.rows) == ("", 3)
    task = SquadTask(train=(str(taught.path),), test=(str(small_data / "test.json"),), validation=0)
    rows = load_squad(task).train
    assert [(row.question, row.gold) for row in rows] == [
        ("Who built it?", ("Anna Berg",)),
        ("When?", ("1843",)),
        ("Who swept it?", ()),
    ]
    document = json.loads(taught.path.read_text())
    assert document["data"][0]["paragraphs"][0]["qas"][2]["is_impossible"] is True


def test_the_same_question_is_one_row(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "taught.json")
    example = own_example(PARAGRAPH, "Who built it?")
    taught.teach(example, "1843", tested=())
    again = Taught(taught.path)  # another start of the page
    assert again.knows([example, own_example(PARAGRAPH, "When?")]) == {example.id}
    assert again.teach(example, "Anna Berg", tested=()).rows == 1
    assert read_squad(taught.path)[0].gold == ("Anna Berg",)


def test_many_teach_at_once(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "taught.json")
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: taught.teach(own_example(PARAGRAPH, f"Who? {n}"), "1843", tested=()),
                range(24),
            )
        )
    assert len(taught.rows()) == 24


def test_what_would_teach_something_wrong_is_refused(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "taught.json")
    example = own_example(PARAGRAPH, "Who built it?")
    with pytest.raises(DataError, match="does not stand in the paragraph"):
        taught.teach(example, "Anna Bergs", tested=())
    with pytest.raises(UsageError, match="tested on this paragraph"):
        taught.teach(example, "Anna Berg", tested={example.group})
    assert not taught.path.exists()
    taught.path.write_text("[]")
    with pytest.raises(DataError):
        Taught(taught.path)


@pytest.mark.slow
def test_a_model_is_trained_on_what_was_taught(
    tmp_path: Path, small_data: Path, small_encoder: Path
) -> None:
    taught = Taught(tmp_path / "taught.json")
    for number in range(12):
        text = f"Gate {number} was built in {1800 + number} by Anna Berg. It is {number} m wide."
        answer = "" if number % 3 == 0 else str(1800 + number)
        taught.teach(own_example(text, f"When was gate {number} built?"), answer, tested=())
    recipe: dict[str, Any] = {
        "task": {
            "train": [str(taught.path), str(small_data / "train.json")],
            "test": str(small_data / "test.json"),
            "test_limit": 6,
            "validation": 0.2,
        },
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40},
        "tuning": {"kind": "head"},
        "training": {"epochs": 1, "batch_size": 8},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    [run] = run_here(path, tmp_path / "out")
    questions = len(taught.rows()) + len(read_squad(small_data / "train.json"))
    told = run.read_manifest().data
    counts = [int(told[part].split()[0]) for part in ("train", "validation")]
    assert sum(counts) == questions
