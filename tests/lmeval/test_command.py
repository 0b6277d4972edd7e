"""`tunelab lm-eval` from the outside."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from tests.command import tunelab

from tunelab.errors import UsageError
from tunelab.lmeval.tasks import register, task_manager

TASK = """
task: local_letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}, cache_dir: {cache}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean}}]
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [
        {
            "question": f"Who has {n} dogs?",
            "choices": ["Bob", "Eve", "Al"][: 2 + n % 2],
            "answer": 1,
        }
        for n in range(6)
    ]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "local.yaml").write_text(TASK.format(data=data, cache=tmp_path / "cache"))
    return folder


def test_a_task_of_a_folder_is_run(tasks: Path, ours: Any) -> None:
    from tunelab.lmeval.tasks import evaluate_tasks

    results = evaluate_tasks(ours, ["local_letters"], include_path=tasks)
    assert 0 <= results["results"]["local_letters"]["acc,none"] <= 1
    assert len(results["samples"]["local_letters"]) == 6
    with pytest.raises(UsageError, match="no folder"):
        evaluate_tasks(ours, ["local_letters"], include_path=tasks / "none")


def test_evaluate_takes_lm_evals_names(tasks: Path, small_decoder: Path) -> None:
    done = tunelab(
        *("evaluate", small_decoder, "--task", "lm-eval:local_letters"),
        *("--include-path", tasks, "limit=4", "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert 0 <= document["results"]["local_letters"]["acc,none"] <= 1


@pytest.mark.slow  # lm-eval reads all of its task files
def test_the_command_line_is_lm_evals_own(tasks: Path, small_decoder: Path, tmp_path: Path) -> None:
    done = tunelab(
        *("lm-eval", "run", "--model", "tunelab", "--model_args", f"path={small_decoder}"),
        *("--tasks", "local_letters", "--include_path", tasks, "--device", "cpu"),
        *("--output_path", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert "local_letters" in done.stdout
    [written] = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(written.read_text())
    assert results["config"]["model"] == "tunelab"
    assert results["config"]["requests_cut_on_the_left"] == 0
    assert 0 <= results["results"]["local_letters"]["acc,none"] <= 1


@pytest.mark.slow  # likewise
def test_a_task_that_does_not_exist(tasks: Path) -> None:
    done = tunelab("lm-eval", "--model", "tunelab", "--tasks", "hellaswg", "--model_args", "path=x")
    assert done.returncode == 2
    assert "Did you mean 'hellaswag'?" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(UsageError, match="no task 'helaswag'") as caught:
        task_manager(["local_letters", "arc_*", "helaswag"], include_path=tasks)
    assert "Did you mean 'hellaswag'?" in caught.value.hint


def test_its_help_is_lm_evals_own() -> None:
    done = tunelab("lm-eval", "run", "--help")
    assert done.returncode == 0, done.stderr
    assert "--include_path" in done.stdout


def test_a_missing_extra_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        register()
    assert caught.value.hint == "Type: pip install 'tunelab[lm-eval]'"
