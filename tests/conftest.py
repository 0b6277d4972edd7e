"""What several test files need: real data where it is, and a small encoder made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.checkpoints import write_decoder, write_encoder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $TUNELAB_DATA, or ../shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUNELAB_DATA", beside))
    if not (folder / "squad" / "dev-v2.0.json.gz").exists():
        pytest.skip(f"real data sets are not here: {folder} has no squad/dev-v2.0.json.gz")
    return folder


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a tokenizer of characters and short words."""
    folder = tmp_path_factory.mktemp("small-encoder")
    write_encoder(folder)
    return folder


@pytest.fixture(scope="session")
def small_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, a byte-level tokenizer and a chat template."""
    folder = tmp_path_factory.mktemp("small-decoder")
    write_decoder(folder)
    return folder


@pytest.fixture(scope="session")
def wide_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a width that groups of 128 weights divide, as GPTQ needs."""
    folder = tmp_path_factory.mktemp("wide-decoder")
    write_decoder(folder, width=128)
    return folder
