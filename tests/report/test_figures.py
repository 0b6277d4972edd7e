"""Figures as people read them."""

from __future__ import annotations

import pytest

from tunelab.report.figures import count, duration, share, size
from tunelab.report.svg import in_short


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1_280, "1.25 KiB"),
        (1023.9 * 2**20, "1024 MiB"),
        (5 * 2**30, "5 GiB"),
    ],
)
def test_sizes(quantity: float, text: str) -> None:
    assert size(quantity) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_shares() -> None:
    assert count(66_364_418) == "66,364,418"
    assert share(148_994, 66_511_874) == "0.224 %"
    assert share(1, 0) == "-"


def test_long_labels_keep_what_tells_them_apart() -> None:
    drawn = [in_short(f"lora-r8,train_limit={count}") for count in (30, 100, 300, 1000)]
    assert drawn == ["lora-r8,t…n_limit=30", "lora-r8,t…_limit=100", "lora-r8,t…_limit=300",
                     "lora-r8,t…limit=1000"]  # fmt: skip
    assert in_short("full") == "full"
