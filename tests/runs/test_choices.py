"""Tasks with given answers through the command line: trained, scored, compared, remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command import tunelab

pytestmark = pytest.mark.slow


@pytest.fixture
def arc(tmp_path: Path) -> Path:
    """Questions in ARC's form, some with three choices and labels 1 to 3."""
    lines: list[str] = []
    for number in range(24):
        labels = "123" if number % 4 == 0 else "ABCD"
        choices = [{"text": f"answer {label} of {number}", "label": label} for label in labels]
        row = {
            "id": f"q{number}",
            "question": {"stem": f"What is {number}?", "choices": choices},
            "answerKey": labels[number % 3],
        }
        lines.append(json.dumps(row))
    path = tmp_path / "arc.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def pubmedqa(tmp_path: Path) -> Path:
    """Papers in PubMedQA's form, and which of them are tested."""
    rows = {
        str(number): {
            "QUESTION": f"Does {number} work?",
            "CONTEXTS": [f"We tried {number}. " * 30],
            "LONG_ANSWER": f"It seems that {number} works.",
            "final_decision": ("yes", "no", "maybe")[number % 3],
        }
        for number in range(30)
    }
    (tmp_path / "ori_pqal.json").write_text(json.dumps(rows))
    tested = {key: row["final_decision"] for key, row in rows.items() if int(key) < 9}
    (tmp_path / "test_ground_truth.json").write_text(json.dumps(tested))
    return tmp_path / "ori_pqal.json"


def test_a_ledger_of_what_was_gained_and_forgotten(
    tmp_path: Path, small_decoder: Path, pubmedqa: Path, arc: Path
) -> None:
    recipe: dict[str, Any] = {
        "name": "ledger",
        "task": {"kind": "pubmedqa", "test": str(pubmedqa), "target": "label-first"},
        "model": {"path": str(small_decoder), "max_length": 120},
        "tuning": {"kind": "lora"},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-2},
        "also_evaluate": [{"kind": "arc", "test": str(arc)}],
    }
    path, out = tmp_path / "recipe.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(recipe))
    done = tunelab("run", path, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    assert len(list((out / "base" / "runs").iterdir())) == 2
    [run] = (out / "runs").iterdir()
    scores = json.loads((run / "scores.json").read_text())
    assert list(scores) == ["pubmedqa", "arc_challenge"]
    assert len((run / "predictions-arc_challenge.jsonl").read_text().splitlines()) == 24
    notes = json.loads((run / "manifest.json").read_text())["notes"]
    assert any("lost the end of their context (never the question)" in note for note in notes)
    table = (out / "table.md").read_text()
    assert "## Forgetting" in table
    assert "arc_challenge" in table
    ledger = json.loads((out / "comparisons.json").read_text())["forgetting"]
    assert {entry["task"] for entry in ledger} == {"pubmedqa", "arc_challenge"}
    assert all("the untuned model" in entry["sentence"] for entry in ledger)

    evaluated = tunelab("evaluate", run, "--task", "arc", "--data", arc, "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    again = json.loads(evaluated.stdout)["scores"]["acc_norm"]["value"]
    assert again == scores["arc_challenge"]["acc_norm"]["value"]


def test_an_encoder_gets_a_classification_head(
    tmp_path: Path, small_encoder: Path, pubmedqa: Path
) -> None:
    recipe: dict[str, Any] = {
        "name": "classes",
        "task": {"kind": "pubmedqa", "test": str(pubmedqa)},
        "model": {"path": str(small_encoder), "max_length": 100, "stride": 20},
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 1.0e-2},
        "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}]},
    }
    path, out = tmp_path / "recipe.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(recipe))
    done = tunelab("run", path, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    for run in (out / "runs").iterdir():
        manifest = json.loads((run / "manifest.json").read_text())
        assert all(proof["held"] for proof in manifest["proofs"])
        assert any("contexts lost their end (never the question)" in n for n in manifest["notes"])
    refused = tunelab("run", path, "grid=null", "tuning={kind: prefix}", "--out", tmp_path / "no")
    assert refused.returncode == 2
    assert "does not go with a classification head" in " ".join(refused.stderr.split())


def test_mistakes_are_told(tmp_path: Path, small_decoder: Path, arc: Path) -> None:
    unknown = tunelab("evaluate", small_decoder, "--task", "hellaswgg")
    assert unknown.returncode == 2
    assert "Did you mean 'hellaswag'" in unknown.stderr
    setting = tunelab("evaluate", small_decoder, "--task", "arc", "--data", arc, "shotz=1")
    assert setting.returncode == 2
    assert "Did you mean 'shots'" in setting.stderr


def test_published_labels_are_scored_from_either_file(shared_data: Path) -> None:
    predictions = shared_data / "expert" / "pubmedqa_preds.json"
    for name in ("test_ground_truth.json", "ori_pqal.json"):
        data = shared_data / "pubmedqa" / name
        done = tunelab("score", "pubmedqa", "--data", data, "--predictions", predictions, "--json")
        assert done.returncode == 0, done.stderr
        scores = json.loads(done.stdout)["scores"]
        assert scores["accuracy"] == pytest.approx(0.756)
        assert round(scores["macro_f1"], 4) == 0.5412
