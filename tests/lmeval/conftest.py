"""A small decoder asked by lm-eval's own `hf` model and by tunelab's class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tunelab.lmeval.model import TunelabLM

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")


def hf(folder: Path, **settings: Any) -> Any:
    """lm-eval's own class; its decorator hides the type."""
    from lm_eval.models.huggingface import HFLM

    made: Any = HFLM
    return made(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1, **settings)


@pytest.fixture(scope="session")
def theirs(small_decoder: Path) -> Any:
    return hf(small_decoder)


@pytest.fixture(scope="session")
def ours(small_decoder: Path) -> TunelabLM:
    from tunelab.lmeval.model import TunelabLM

    return TunelabLM(str(small_decoder), device="cpu")
