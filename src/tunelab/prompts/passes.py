"""Windows as rectangles of tokens, cut so that next to nothing is padding.

The windows of one optimiser step are sorted by length and cut into passes. The loss is a sum over
the step's windows divided by their count, and padding takes no part in any softmax, so the cut
changes speed and memory, never the result (up to rounding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tunelab.prompts.windows import Window

# Shapes: B windows of a pass, L tokens of its longest window.


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass: B windows, padded on the right to the longest."""

    windows: list[Window]
    input_ids: torch.Tensor
    """(B, L) int64."""
    attention_mask: torch.Tensor
    """(B, L) int64, 1 for real tokens."""
    token_type_ids: torch.Tensor
    """(B, L) int64."""
    targets: torch.Tensor
    """(B, 2) int64: positions of the answer's first and last token."""

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return sum(len(window.input_ids) for window in self.windows)


def cut_passes(windows: Sequence[Window], *, tokens_per_pass: int) -> list[list[Window]]:
    """Sort by length, longest first, and cut so that each pass holds at most `tokens_per_pass`.

    The longest windows come first, so that a pass that does not fit the memory fails at once.
    A window longer than `tokens_per_pass` is a pass of its own.
    """
    passes: list[list[Window]] = []
    longest = 0
    for window in sorted(windows, key=lambda w: len(w.input_ids), reverse=True):
        if passes and (len(passes[-1]) + 1) * longest <= tokens_per_pass:
            passes[-1].append(window)
        else:
            passes.append([window])
            longest = len(window.input_ids)
    return passes


def pad_pass(windows: Sequence[Window], *, pad_id: int, device: torch.device) -> Pass:
    """Lay windows out as one rectangle."""
    longest = max(len(window.input_ids) for window in windows)

    def rectangle(rows: list[list[int]], fill: int) -> torch.Tensor:
        padded = [row + [fill] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64, device=device)

    return Pass(
        windows=list(windows),
        input_ids=rectangle([w.input_ids for w in windows], pad_id),
        attention_mask=rectangle([[1] * len(w.input_ids) for w in windows], 0),
        token_type_ids=rectangle([w.token_type_ids for w in windows], 0),
        targets=torch.tensor([w.target for w in windows], dtype=torch.int64, device=device),
    )
