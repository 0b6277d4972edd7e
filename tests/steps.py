"""Records of training steps, for what reads them."""

from __future__ import annotations

from tunelab.records import Step


def step(
    number: int, *, examples: int | None = None, loss: float = 0.5, seconds: float = 0.1
) -> Step:
    """A step of a made-up run; without a number of examples seen, one a step."""
    return Step(
        step=number,
        examples=number if examples is None else examples,
        tokens=1000,
        target_tokens=32,
        loss=loss,
        learning_rate=1e-4,
        grad_norm=1.0,
        seconds=seconds,
        peak_memory_bytes=2**20,
    )
