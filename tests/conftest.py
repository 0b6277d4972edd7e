"""What several test files need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $TUNELAB_DATA, or ../shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUNELAB_DATA", beside))
    if not (folder / "squad" / "dev-v2.0.json.gz").exists():
        pytest.skip(f"real data sets are not here: {folder} has no squad/dev-v2.0.json.gz")
    return folder
