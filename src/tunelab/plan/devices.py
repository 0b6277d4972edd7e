"""What a run may run on: memory for whether it fits, FLOP/s for how long it takes.

Makers state peaks; training reaches a part of them. `EFFICIENCY` is the part that is assumed until
somebody measures (`--measure`), and every figure that rests on it says so.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import psutil
import torch

from tunelab.errors import UsageError, did_you_mean

EFFICIENCY = 0.4
"""Of a maker's peak: what well-made training reaches on large layers (arXiv 2204.02311, table 3,
has 21 to 57 %)."""
_TRIED = 768
"""Width of the matrices that a CPU's speed is tried with."""
_USABLE = 0.95
"""Of an accelerator's memory; the rest is its driver's and its libraries'."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device, or a CPU with its memory."""

    name: str
    memory: float
    """Bytes that a run may take."""
    bf16: float
    """FLOP/s that are reached in products of bfloat16."""
    f32: float
    """Likewise in float32."""
    bandwidth: float | None
    """Bytes/s that weights are read with; None where it is not known."""
    source: str
    """Where the figures are from."""
    on_cpu: bool = False

    def flops(self, dtype: str) -> float:
        """For a recipe's `model.dtype`."""
        return self.f32 if dtype == "f32" else self.bf16


def find_device(
    name: str | None, *, memory_gb: float | None = None, flops: float | None = None
) -> Device:
    """A device by its name, or this machine; with other figures where they are given.

    Args:
        name: in devices.json, `cpu` or None for what is here.
        memory_gb: 10^9 bytes.
        flops: a peak, of which the usual part is taken.

    Raises:
        UsageError: there is no device of that name, or a figure is not above zero.
    """
    device = _here() if name is None else _cpu() if name == "cpu" else _listed(name)
    for option, value in (("--memory", memory_gb), ("--flops", flops)):
        if value is not None and value <= 0:
            raise UsageError(f"{option} is {value:g}.", hint="Give a figure above zero.")
    if memory_gb is not None:
        device = replace(device, memory=memory_gb * 1e9)
    if flops is not None:
        reached = flops * EFFICIENCY
        device = replace(device, bf16=reached, f32=reached, source="your figure")
    return device


def device_names() -> list[str]:
    """All that `--device` takes."""
    return ["cpu", *_table()]


def _listed(name: str) -> Device:
    facts = _table().get(name)
    if facts is None:
        raise UsageError(
            f"There is no device '{name}'.",
            hint=did_you_mean(name, device_names())
            + " Or describe yours with --memory and --flops.",
        )
    return _reached(facts)


def _reached(facts: dict[str, Any]) -> Device:
    return Device(
        name=facts["name"],
        memory=facts["memory"] * _USABLE,
        bf16=facts["bf16"] * EFFICIENCY,
        f32=facts["f32"] * EFFICIENCY,
        bandwidth=facts["bandwidth"],
        source=f"{facts['source']}; {EFFICIENCY:.0%} of the peak assumed",
    )


def _here() -> Device:
    if not torch.cuda.is_available():
        return _cpu()
    properties = torch.cuda.get_device_properties(0)
    for facts in _table().values():
        if all(word in properties.name for word in facts["name"].split()[1:2]):
            return replace(_reached(facts), memory=properties.total_memory * _USABLE)
    usable = properties.total_memory * _USABLE
    return Device(properties.name, usable, 4e13, 1e13, None, "a guess: it is not in the table")


def available_memory() -> float:
    """Bytes that a run may take on this machine."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory * _USABLE
    return psutil.virtual_memory().available


@cache
def _cpu() -> Device:
    """This machine: its free memory, and what a product of matrices reaches here and now."""
    reached = {kind: _tried(kind) for kind in (torch.bfloat16, torch.float32)}
    return Device(
        name=f"this machine's CPU, {torch.get_num_threads()} threads",
        memory=available_memory(),
        bf16=reached[torch.bfloat16],
        f32=reached[torch.float32],
        bandwidth=None,
        source="a product of matrices, tried now",
        on_cpu=True,
    )


def _tried(kind: torch.dtype) -> float:
    """FLOP/s of the quicker of two products."""
    matrix = torch.ones((_TRIED, _TRIED), dtype=kind)
    taken: list[float] = []
    for _ in range(2):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        taken.append(time.perf_counter() - began)
    return 2 * _TRIED**3 / min(taken)


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = resources.files("tunelab.plan").joinpath("devices.json").read_text()
    return {name: facts for name, facts in json.loads(text).items() if name != "about"}
