"""A served decoder behind an endpoint scores as the same decoder at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from tests.serve.served import served

from tunelab.recipe import Recipe, validate
from tunelab.records import Manifest, Prediction, RunDirectory
from tunelab.runs.execute import execute

KEY = "sk-only-in-the-environment-7431"


def recipe(model: dict[str, Any], data: Path, **changes: Any) -> Recipe:
    content: dict[str, Any] = {
        "task": {
            "train": str(data / "train.json"),
            "test": str(data / "test.json"),
            "train_limit": 24,
            "test_limit": 8,
            "validation": 0.2,
        },
        "model": model,
        "prompt": {"style": "chat-json", "system": "Read well."},
        "tuning": {"kind": "none", "shots": 1},
        "evaluation": {"max_new_tokens": 8, "no_answer_threshold": "decoded"},
    }
    return validate(content | changes, source="test")


def done(run: Recipe, folder: Path) -> tuple[Manifest, list[Prediction]]:
    directory = RunDirectory(folder)
    execute(run, "test", directory, quiet=True, stop=lambda: False)
    manifest = directory.read_manifest()
    assert manifest.status == "ok", manifest.message
    return manifest, directory.read_predictions()


def test_an_endpoint_answers_as_the_model_itself(
    tmp_path: Path, small_data: Path, small_decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    near = recipe({"path": str(small_decoder), "max_length": 2000}, small_data)
    _, at_hand = done(near, tmp_path / "near")
    with served(small_decoder) as url:
        name = small_decoder.name
        prices = {"input_price": 1.0, "output_price": 2.0, "logprobs": 5}
        far = recipe({"endpoint": url, "name": name, "api": prices}, small_data)
        manifest, remote = done(far, tmp_path / "far")
    assert [row.answer for row in remote] == [row.answer for row in at_hand]
    for one, other in zip(remote, at_hand, strict=True):
        assert one.decoded is not None and other.decoded is not None
        assert one.decoded.response == other.decoded.response
        assert one.decoded.finished == other.decoded.finished
    assert manifest.cost is not None and manifest.cost.price is not None
    assert manifest.cost.price > 0
    # the server is gone: what was asked comes from the cache
    again, rows = done(far, tmp_path / "again")
    assert rows == remote
    assert any("8 of them from the cache" in note for note in again.notes)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY not in path.read_text(errors="replace"), path
