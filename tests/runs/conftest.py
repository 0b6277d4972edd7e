"""A small experiment for the tests of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunelab.data.reading import generate


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of generated questions: train.json and test.json."""
    folder = tmp_path_factory.mktemp("small-data")
    (folder / "train.json").write_text(json.dumps(generate("train", questions=60)))
    (folder / "test.json").write_text(json.dumps(generate("test", questions=20)))
    return folder


@pytest.fixture
def small_recipe(small_data: Path, small_encoder: Path, tmp_path: Path) -> Path:
    """Four methods on a small encoder, a few steps each."""
    content: dict[str, Any] = {
        "name": "small",
        "task": {
            "version": "2.0",
            "train": str(small_data / "train.json"),
            "test": str(small_data / "test.json"),
            "train_limit": 40,
            "validation": 0.2,
        },
        "model": {"path": str(small_encoder), "max_length": 160, "stride": 40},
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 1.0e-3, "checkpoint_steps": 2},
        "grid": {"tuning": [{"kind": kind} for kind in ("none", "full", "head", "lora")]},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
