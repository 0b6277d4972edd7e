"""Blocks as figures: rates, losses, and a median with its range."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import chain

from benchmarks.alternation import Block


def losses(blocks: Sequence[Block]) -> list[float]:
    """One per optimiser step."""
    return list(chain.from_iterable(block.losses for block in blocks))


def rates(blocks: Sequence[Block], batch_size: int) -> list[float]:
    """Examples per second of every block but the first, which warms up."""
    return [batch_size * len(block.losses) / block.seconds for block in blocks[1:]]


def spread(values: Sequence[float], digits: int) -> str:
    """Median (least to greatest)."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
