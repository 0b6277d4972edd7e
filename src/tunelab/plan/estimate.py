"""From what a run needs to a forecast: memory of a device, time, disk and price."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tunelab.plan.depth import Found
from tunelab.plan.devices import Device
from tunelab.plan.drawn import ANSWERED_TOKENS, Drawn, tokens
from tunelab.plan.rehearsal import Rehearsal
from tunelab.plan.sharding import Sharding, phases_of_one
from tunelab.plan.simulated import Sizes
from tunelab.recipe import FullTuning, HeadTuning, Recipe
from tunelab.records import Forecast
from tunelab.training.allocator import runs_use_tcmalloc

_PROCESS_BYTES = {"tcmalloc": 110_000_000, "glibc": 270_000_000}
"""What a run's process takes on a CPU besides tensors: pages of the libraries that it comes to use,
a tokenizer, examples, and what its allocator loses between small blocks; told from a few runs on
Linux with torch 2.13, to within some tens of MB."""
_WRITTEN = 12
"""Tokens of a written answer, where the model stops by itself."""
_CHECKPOINTS = 3
"""At a time: two that are kept, and one that is being written."""
_PREDICTION_BYTES = 2000
"""Of an item's line, with its other candidates or its prompt."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run is planned for."""

    device: Device
    devices: int = 1
    sharding: Sharding = "none"
    price_per_hour: float | None = None
    """Of one device."""


def estimate(
    recipe: Recipe,
    label: str,
    drawn: Drawn,
    gone_through: Found,
    *,
    machine: Machine,
    notes: tuple[str, ...],
) -> Forecast:
    """The forecast of a run.

    Args:
        recipe: resolved.
        label: of its row.
        drawn: its rows.
        gone_through: what it needs, and the sizes of its model.
        machine: where it is to run.
        notes: what the figures rest on.
    """
    device = machine.device
    found, sizes = gone_through.rehearsal, gone_through.sizes
    phases = phases_of_one(found, sizes, devices=machine.devices, sharding=machine.sharding)
    if device.on_cpu:
        beside = _PROCESS_BYTES["tcmalloc" if runs_use_tcmalloc() else "glibc"]
        phases = {name: size + beside for name, size in phases.items()}
    peak = max(phases.values())
    training = _training_flops(drawn, found) / device.flops(recipe.model.dtype) / machine.devices
    answering = _answering_seconds(recipe, drawn, found, sizes, device) / machine.devices
    kept = _kept_bytes(recipe, drawn, sizes)
    price = machine.price_per_hour
    return Forecast(
        label=label,
        device=device.name,
        devices=machine.devices,
        sharding=machine.sharding,
        fits=peak <= device.memory,
        available_bytes=int(device.memory),
        peak_memory_bytes=peak,
        phases=phases,
        parts=asdict(found.parts) if found.parts else {},
        keys_and_values_bytes=found.keys_and_values,
        trained_parameters=sizes.trained_parameters if drawn.step else 0,
        total_parameters=sizes.total_parameters,
        steps=drawn.steps,
        largest_pass_tokens=drawn.largest,
        read_tokens=round(drawn.steps * drawn.read_tokens),
        questions=drawn.questions,
        seconds_training=training,
        seconds_evaluation=answering,
        disk_bytes=kept + (4 * _CHECKPOINTS * sizes.trained if drawn.step else 0),
        kept_bytes=kept,
        price=None if price is None else price * machine.devices * (training + answering) / 3600,
        notes=(*notes, f"time: {device.source}"),
    )


def _training_flops(drawn: Drawn, found: Rehearsal) -> float:
    if not found.step_tokens:
        return 0.0
    return drawn.steps * drawn.step_tokens / found.step_tokens * found.flops_step


def _answering_seconds(
    recipe: Recipe, drawn: Drawn, found: Rehearsal, sizes: Sizes, device: Device
) -> float:
    """Reading once, and where answers are written, writing them and reading them again."""
    per_token = found.flops_asked / max(1, tokens(drawn.asked)) / device.flops(recipe.model.dtype)
    reading = drawn.asked_tokens * per_token
    if not drawn.branches:
        return reading
    written = min(_WRITTEN, recipe.evaluation.max_new_tokens)
    arithmetic = drawn.questions * written * per_token
    passes = written * drawn.asked_tokens / ANSWERED_TOKENS
    fetching = passes * sizes.held / device.bandwidth if device.bandwidth else 0.0
    return 2 * reading + max(arithmetic, fetching)


def _kept_bytes(recipe: Recipe, drawn: Drawn, sizes: Sizes) -> int:
    predictions = drawn.questions * _PREDICTION_BYTES
    if not drawn.step:
        return predictions
    whole = isinstance(recipe.tuning, FullTuning | HeadTuning)
    return predictions + (sizes.base if whole else sizes.trained)
