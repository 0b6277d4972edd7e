"""What is measured, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from tunelab.errors import UsageError, did_you_mean
from tunelab.latency.shapes import Shape

Held = Literal["f32", "bf16", "int8", "nf4", "gptq-int4", "gptq-int8"]
"""How the weights are held: in float32, in bfloat16, or their linear layers in fewer bits (and all
else in float32)."""

BYTES_A_WEIGHT: dict[Held, float] = {
    "f32": 4,
    "bf16": 2,
    "int8": 1.0,
    "nf4": 0.52,
    "gptq-int4": 0.52,
    "gptq-int8": 1.02,
}
"""Roughly, scales included: for saying whether a model fits."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a model is asked to do, again and again."""

    batches: tuple[int, ...]
    """Questions on one paragraph that are answered together."""
    paragraph_tokens: int
    """Tokens that the questions of a batch share."""
    question_tokens: int
    """Tokens of each question alone."""
    answer_tokens: int
    """Tokens that are written; nothing ends an answer earlier."""
    warmup: int
    """Repetitions that are not counted."""
    repeats: int


@dataclass(frozen=True, slots=True)
class Case:
    """A model in one precision."""

    name: str
    source: str | Shape
    """A run, an adapter, a checkpoint; or random weights."""
    held: Held
    merged: bool
    """Whether an adapter is merged into its base first."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, one value a repetition."""

    batch: int
    tokens: int
    """Written in `rest`, by all answers of the batch together; 0 for an encoder."""
    first_token: tuple[float, ...]
    """Until the first token of every answer is known; empty for an encoder."""
    rest: tuple[float, ...]
    """For all further tokens; for an encoder, for the answers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model needed."""

    parameters: int
    weight_bytes: int
    """Resident weights."""
    peak_bytes: int
    """Largest memory of the process above what it had with its imports; of an accelerator, its
    allocator's peak."""
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model that does not fit would need, by the bandwidth that was measured."""

    parameters: int
    weight_bytes: int
    timings: tuple[Timing, ...]
    basis: str
    """What the prediction rests on."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there are no figures."""

    reason: str


Found = Measured | Predicted | Failed


def precision(held: Held) -> dict[str, str]:
    """The settings of a recipe's model that hold it so."""
    match held:
        case "f32":
            return {"dtype": "f32", "quantize": "none"}
        case "bf16":
            return {"dtype": "bf16-true", "quantize": "none"}
        case "int8" | "nf4" | "gptq-int4" | "gptq-int8":
            return {"dtype": "f32", "quantize": held}
        case _:
            assert_never(held)


def read_held(name: str) -> Held:
    """A precision by its name.

    Raises:
        UsageError: there is none of that name.
    """
    for known in get_args(Held):
        if known == name:
            return known
    raise UsageError(f"There is no precision '{name}'.", hint=did_you_mean(name, get_args(Held)))
