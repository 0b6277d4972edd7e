"""Questions to plan for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunelab.data.reading import generate


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of generated questions: train.json and test.json."""
    folder = tmp_path_factory.mktemp("planned-data")
    (folder / "train.json").write_text(json.dumps(generate("train", questions=60)))
    (folder / "test.json").write_text(json.dumps(generate("test", questions=20)))
    return folder
