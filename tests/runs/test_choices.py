"""Tasks with given answers through the command line: trained, scored, compared, remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.choices import write_arc, write_pubmedqa
from tests.command import tunelab

pytestmark = pytest.mark.slow


def test_a_ledger_of_what_was_gained_and_forgotten(tmp_path: Path, small_decoder: Path) -> None:
    pubmedqa, arc = write_pubmedqa(tmp_path), write_arc(tmp_path / "arc.jsonl")
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


def test_an_encoder_gets_a_classification_head(tmp_path: Path, small_encoder: Path) -> None:
    pubmedqa = write_pubmedqa(tmp_path)
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


def test_mistakes_are_told(tmp_path: Path, small_decoder: Path) -> None:
    arc = write_arc(tmp_path / "arc.jsonl")
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
