"""Measures many models one after the other, and predicts those that do not fit.

A token is written as fast as the weights that it needs come out of memory. So a model that does not
fit is predicted from the largest one that was measured in the same precision, in proportion to the
weights that every token reads; the time to the first token likewise, as its work grows with
them too. Where nothing of that precision was measured, the plain bandwidth of memory stands for it,
which is a bound from below; and about the first token nothing is said.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import psutil
import torch

from tunelab.latency.case import (
    BYTES_A_WEIGHT,
    Case,
    Failed,
    Found,
    Load,
    Measured,
    Predicted,
    Timing,
)
from tunelab.latency.measuring import measure
from tunelab.latency.shapes import Shape
from tunelab.runs.process import end_with_parent

HEADROOM = 1.25
"""Memory that a model needs at work, over that of its weights."""
_BANDWIDTH_BYTES = 2**29
_BANDWIDTH_TRIES = 5


def compare(
    cases: Sequence[Case], load: Load, *, memory_bytes: int | None, told: Callable[[str], None]
) -> list[Found]:
    """Figures for every case, in their order; smaller shapes are measured before larger ones.

    Args:
        cases: models and precisions.
        load: what they do.
        memory_bytes: what random weights may take; None: what is free now.
        told: is given a line before each measurement.
    """
    free = psutil.virtual_memory().available if memory_bytes is None else memory_bytes
    found: dict[int, Found] = {}
    too_large: list[int] = []
    for index, case in enumerate(cases):
        if isinstance(case.source, Shape) and needed_bytes(case.source, case) > free:
            too_large.append(index)
            continue
        told(f"{case.name}, {case.held}")
        found[index] = _alone(case, load)
    references = [
        (case, found[index])
        for index, case in enumerate(cases)
        if index in found and isinstance(case.source, Shape)
    ]
    for index in too_large:
        found[index] = predict(cases[index], load, references)
    return [found[index] for index in range(len(cases))]


def needed_bytes(shape: Shape, case: Case) -> float:
    """Memory that measuring a shape takes; quantised ones are drawn in bfloat16 first."""
    held = max(BYTES_A_WEIGHT[case.held], 2 if case.held not in ("f32", "bf16") else 0)
    return HEADROOM * held * shape.parameters


def predict(case: Case, load: Load, measured: Sequence[tuple[Case, Found]]) -> Predicted:
    """What a shape would need, from others in the same precision or from the bandwidth."""
    shape = case.source
    assert isinstance(shape, Shape)
    weight_bytes = round(BYTES_A_WEIGHT[case.held] * shape.parameters)
    alike = [
        (other.source, result, other.name)
        for other, result in measured
        if other.held == case.held
        and isinstance(other.source, Shape)
        and isinstance(result, Measured)
    ]
    if not alike:
        bandwidth = bytes_per_second()
        seconds = BYTES_A_WEIGHT[case.held] * shape.read_per_token / bandwidth
        rest = seconds * (load.answer_tokens - 1)
        tokens = load.answer_tokens - 1
        timings = tuple(Timing(batch, batch * tokens, (), (rest,)) for batch in load.batches)
        told = f"at least, by a memory bandwidth of {bandwidth / 1e9:.1f} GB/s"
        return Predicted(shape.parameters, weight_bytes, timings, told)
    largest, result, name = max(alike, key=lambda each: each[0].read_per_token)
    factor = shape.read_per_token / largest.read_per_token
    timings = tuple(_scaled(timing, factor) for timing in result.timings)
    told = f"{factor:.2f} times {name}, as it reads so many more weights a token"
    return Predicted(shape.parameters, weight_bytes, timings, told)


def bytes_per_second() -> float:
    """How fast all cores together read memory: the best of a few sums over half a gigabyte."""
    numbers = torch.ones(_BANDWIDTH_BYTES // 4)
    seconds: list[float] = []
    for _ in range(_BANDWIDTH_TRIES):
        began = time.perf_counter()
        numbers.sum()
        seconds.append(time.perf_counter() - began)
    return _BANDWIDTH_BYTES / min(seconds)


def _scaled(timing: Timing, factor: float) -> Timing:
    return Timing(
        timing.batch,
        timing.tokens,
        tuple(factor * each for each in _middle(timing.first_token)),
        tuple(factor * each for each in _middle(timing.rest)),
    )


def _middle(seconds: Sequence[float]) -> tuple[float, ...]:
    return (statistics.median(seconds),) if seconds else ()


def _alone(case: Case, load: Load) -> Found:
    """Measure in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        try:
            return pool.submit(measure, case, load).result()
        except BrokenProcessPool:
            return Failed("the system killed it, most likely because memory ran out")
