"""A small study on random weights: two ways of tuning an encoder, and one of tuning a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.app.served import served
from tests.running import run_here
from tests.runs.conftest import small_data

__all__ = ["small_data"]

pytest.importorskip("gradio", reason="the extra `app` is not installed")


@pytest.fixture(scope="session")
def study(
    tmp_path_factory: pytest.TempPathFactory,
    small_data: Path,
    small_encoder: Path,
    small_decoder: Path,
) -> Path:
    """An output directory with three finished runs."""
    folder = tmp_path_factory.mktemp("study")
    points = {"path": str(small_encoder), "max_length": 160, "stride": 40}
    writes = {"path": str(small_decoder), "max_length": 1500}
    content = {
        "name": "small",
        "task": {
            "train": str(small_data / "train.json"),
            "test": str(small_data / "test.json"),
            "train_limit": 16,
            "test_limit": 12,
            "validation": 0.2,
        },
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3},
        "evaluation": {"max_new_tokens": 6},
        "grid": {
            "cases": [
                {"model": points, "tuning": {"kind": "lora"}},
                {"model": points, "tuning": {"kind": "head"}},
                {"model": writes, "tuning": {"kind": "lora"}, "prompt": {"style": "chat-json"}},
            ]
        },
    }
    path = folder / "recipe-of-the-study.yaml"
    path.write_text(yaml.safe_dump(content))
    run_here(path, folder / "out")
    return folder / "out"


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page saves what it is taught."""
    return tmp_path_factory.mktemp("taught") / "taught.json"


@pytest.fixture(scope="session")
def url(study: Path, small_data: Path, taught: Path) -> Iterator[str]:
    """The address of a page on the study, in a process of its own."""
    questions = small_data / "train.json"
    with served(study, "--taught", taught, "--questions", questions) as address:
        yield address
