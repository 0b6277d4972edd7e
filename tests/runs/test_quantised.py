"""Quantised bases through the command line: trained on, scored in, proven to stay in few bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command import ONE_THREAD, tunelab

pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")

LORA = {"kind": "lora", "rank": 4}


def recipe(folder: Path, data: Path, model: dict[str, Any], **changes: Any) -> Path:
    content: dict[str, Any] = {
        "name": "quantised",
        "task": {
            "train": str(data / "train.json"),
            "test": str(data / "test.json"),
            "train_limit": 24,
            "test_limit": 8,
            "validation": 0.2,
        },
        "model": model,
        "tuning": LORA,
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3},
        "evaluation": {"max_new_tokens": 6},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


def runs_of(out: Path) -> dict[str, dict[str, Any]]:
    manifests = [json.loads(path.read_text()) for path in out.glob("runs/*/manifest.json")]
    for manifest in manifests:
        assert manifest["status"] == "ok", (manifest["label"], manifest["message"])
        assert all(proof["held"] for proof in manifest["proofs"])
    return {manifest["label"]: manifest for manifest in manifests}


def bits_during_training(manifest: dict[str, Any]) -> str:
    [proof] = [p for p in manifest["proofs"] if p["name"] == "a quantised base stays quantised"]
    return proof["found"].partition("held in ")[2].partition(" bits")[0]


@pytest.mark.slow
def test_a_decoder_is_trained_in_four_bits_and_scored_in_eight_and_none(
    tmp_path: Path, small_data: Path, wide_decoder: Path
) -> None:
    model = {"path": str(wide_decoder), "max_length": 1500, "quantize": "nf4"}
    evaluation = {"max_new_tokens": 6, "quantize": ["nf4", "none", "int8"]}
    path = recipe(tmp_path, small_data, model, evaluation=evaluation)
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    found = runs_of(tmp_path / "out")
    assert set(found) == {"lora-r4", "lora-r4@nf4", "lora-r4@none", "lora-r4@int8"}
    assert 4 < float(bits_during_training(found["lora-r4"])) < 5
    held = {label: manifest["cost"]["held_bytes"] for label, manifest in found.items()}
    assert held["lora-r4@nf4"] < held["lora-r4@int8"] < held["lora-r4@none"]
    assert found["lora-r4@int8"]["cost"]["trained_parameters"] == 0
    assert found["lora-r4@int8"]["cost"]["answering_tokens_per_second"] > 0
    predictions = {
        label: next((tmp_path / "out").glob(f"runs/{name}-seed0-*/predictions.jsonl")).read_text()
        for label, name in {"trained": "lora-r4", "again": "lora-r4_nf4"}.items()
    }
    assert predictions["trained"] == predictions["again"]  # reloaded, it answers the same
    table = (tmp_path / "out" / "table.md").read_text()
    assert "lora-r4: none " in table
    assert "In other precisions" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_encoders_too_whatever_was_stored(
    tmp_path: Path, small_data: Path, small_encoder: Path
) -> None:
    model = {"path": str(small_encoder), "max_length": 160, "stride": 40}
    cases = [
        {"tuning": {"kind": "full"}, "evaluation": {"quantize": ["int8", "nf4"]}},
        {"tuning": LORA, "evaluation": {"quantize": ["nf4"]}},
        {"tuning": {"kind": "none"}, "evaluation": {"quantize": ["int8"]}},
        {"tuning": {"kind": "prefix", "virtual_tokens": 3}, "model": {"quantize": "int8"}},
    ]
    path = recipe(tmp_path, small_data, model, grid={"cases": cases})
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    found = runs_of(tmp_path / "out")
    assert set(found) == {
        *("full", "full@int8", "full@nf4", "lora-r4", "lora-r4@nf4", "none", "none@int8"),
        "prefix-3",
    }
    assert bits_during_training(found["prefix-3"]).startswith("8.")


@pytest.mark.slow
def test_a_grid_shares_one_gptq_base(
    tmp_path: Path, small_data: Path, wide_decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llmcompressor", reason="the extra `gptq` is not installed")
    monkeypatch.setitem(ONE_THREAD, "TUNELAB_CACHE", str(tmp_path / "cache"))
    model = {"path": str(wide_decoder), "max_length": 1500, "quantize": "gptq-int4"}
    tunings = [LORA, LORA | {"dora": True}, {"kind": "prefix", "virtual_tokens": 3}]
    path = recipe(tmp_path, small_data, model, grid={"tuning": tunings})
    done = tunelab("run", path, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    found = runs_of(tmp_path / "out")
    assert len(found) == len(tunings)
    assert all(4 < float(bits_during_training(manifest)) < 5 for manifest in found.values())
    [made] = (tmp_path / "cache" / "gptq").glob("*/tunelab.json")
    told = json.loads(made.read_text())["calibration"]
    assert told.startswith("training questions: ")
    assert all(told in manifest["model"]["calibration"] for manifest in found.values())


def test_what_cannot_be_quantised_is_refused_before_anything_runs(
    tmp_path: Path, small_data: Path, small_encoder: Path
) -> None:
    model = {"path": str(small_encoder), "max_length": 160, "stride": 40, "quantize": "nf4"}
    path = recipe(tmp_path, small_data, model)
    full = tunelab("run", path, "tuning={kind: full}", "--out", tmp_path / "out", "--quiet")
    assert full.returncode == 2
    assert "stores the whole model" in full.stderr
    gptq = tunelab("run", path, "model.quantize=gptq-int4", "--out", tmp_path / "out", "--quiet")
    assert gptq.returncode == 2
    assert "GPTQ is for decoders" in gptq.stderr
