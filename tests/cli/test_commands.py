"""The command line as a new user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command import tunelab

from tunelab.cli import main
from tunelab.data import read_squad


def test_help_needs_no_torch() -> None:
    script = "import sys; from tunelab.cli import app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    told = tunelab("--help")
    assert told.returncode == 0
    for command in ("demo", "run", "doctor", "score", "report", "compare", "methods"):
        assert command in told.stdout


def test_a_wrong_command_is_told() -> None:
    wrong = tunelab("rum")
    assert wrong.returncode == 2
    assert "rum" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--task", "lm-eval:arc_easy", "--to", "x.jsonl"], "--to does nothing with --task lm-e"),
        (["--task", "lm-eval:arc_easy", "--data", "x"], "--data does nothing"),
        (["--task", "lm-eval:arc_easy", "--quiet"], "--quiet does nothing"),
        (["--task", "mmlu", "--include-path", "x"], "--include-path does nothing"),
        (["--task", "mmlu", "subjects=[anatomy"], "'subjects=[anatomy' is no valid YAML"),
    ],
)
def test_what_evaluate_does_not_heed_or_cannot_read_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "tiny", *arguments])
    assert stopped.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_an_output_directory_that_is_a_file_is_told(
    small_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    (tmp_path / "recipe.yaml").write_text(f"model: {{path: {small_encoder}}}\n")
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "a file is in its place" in " ".join(capsys.readouterr().err.split())


def test_reading_is_written_in_the_official_format(tmp_path: Path) -> None:
    path = tmp_path / "reading.json"
    assert tunelab("reading", "--split", "test", "--questions", "30", "--to", path).returncode == 0
    assert len(read_squad(path)) == 30


def test_a_wrong_split_is_told(tmp_path: Path) -> None:
    wrong = tunelab("reading", "--split", "tests", "--to", tmp_path / "x.json")
    assert wrong.returncode == 2
    assert "Did you mean 'test'" in wrong.stderr


def test_lists_are_json_when_asked() -> None:
    assert "squad" in json.loads(tunelab("tasks", "--json").stdout)
    assert "minilm" in json.loads(tunelab("models", "--json").stdout)


@pytest.fixture
def recipe(tmp_path: Path, small_encoder: Path) -> Path:
    context = "Arl was founded by Ebba Lind in 1702. Its bridge was built by Jon Falk."
    questions = [
        {
            "id": "right",
            "question": "Who founded Arl?",
            "answers": [{"text": "Ebba Lind", "answer_start": 19}],
        },
        {
            "id": "wrong",
            "question": "Who built its bridge?",
            "answers": [{"text": "Jon Falk", "answer_start": 3}],
        },
    ]
    paragraphs = [{"context": context, "qas": questions}]
    for name in ("train", "test"):
        document = {"data": [{"title": "Arl", "paragraphs": paragraphs}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "task: {version: 1.1, train: train.json, test: test.json, validation: 0}\n"
        f"model: {{path: {small_encoder}, max_length: 100, stride: 20}}\n"
    )
    return path


def test_the_doctor_lists_what_is_wrong_and_marks_the_target(recipe: Path) -> None:
    told = tunelab("doctor", recipe)
    assert told.returncode == 1
    assert "train: 1 answers do not stand at their offset; in 'wrong'" in told.stdout
    assert "1 test paragraphs (2 questions) are also trained on" in told.stdout
    shown = " ".join(told.stdout.split()).replace(" ##", "")
    assert "[[ebba lind]]" in shown


def test_the_doctor_speaks_json(recipe: Path) -> None:
    (examination,) = json.loads(tunelab("doctor", recipe, "--json").stdout)
    errors = {f["name"] for f in examination["findings"] if f["severity"] == "error"}
    assert errors == {"offsets", "overlap"}
    assert [token["text"] for token in examination["sights"][0]["tokens"] if token["target"]]


def test_a_hub_model_without_a_network_says_what_to_do(recipe: Path) -> None:
    script = (
        "import os; os.environ['HF_HUB_OFFLINE'] = '1'; from tunelab.cli import main; "
        f"main(['doctor', {str(recipe)!r}, 'model.path=nobody/nothing'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert "The model 'nobody/nothing' cannot be loaded" in told.stderr
    assert "Without a network, use a bundled name" in told.stderr
    assert "Traceback" not in told.stderr
