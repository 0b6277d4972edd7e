"""A small study on random weights: two ways of tuning an encoder, and one of tuning a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.running import run_here
from tests.runs.conftest import small_data

from tunelab.app.lab import Lab

__all__ = ["small_data"]


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
def lab(study: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """What a page on the study works with."""
    taught = tmp_path_factory.mktemp("taught") / "taught.json"
    made = Lab.of([str(study)], taught=taught, questions=small_data / "train.json")
    yield made
    made.shelf.close()


@pytest.fixture(scope="session")
def url(lab: Lab) -> Iterator[str]:
    """The address of its page."""
    pytest.importorskip("gradio", reason="the extra `app` is not installed")
    from tests.listening import listening

    from tunelab.app.serving import LOOPBACK, make_web_application

    with listening(make_web_application(lab, hosts=LOOPBACK), lifespan="on") as address:
        yield address
