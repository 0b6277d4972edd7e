"""What would make a run fit: one change at a time, then all that helped, each gone through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tunelab.errors import TunelabError
from tunelab.plan.estimate import Machine
from tunelab.plan.planning import Planner
from tunelab.plan.sharding import Sharding
from tunelab.recipe import FullTuning, HeadTuning, LoraTuning, NoTuning, Recipe, with_settings
from tunelab.records import Forecast

_FEWEST_TOKENS = 512
_DEVICES = 8


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change, and what it would come to."""

    change: str
    """As it is typed."""
    peak_memory_bytes: int
    """Of one device."""
    fits: bool


def remedies(recipe: Recipe, forecast: Forecast, planner: Planner) -> list[Remedy]:
    """Changes that lower the memory of a run, each with its predicted figure.

    Args:
        recipe: of the run.
        forecast: of it as it stands.
        planner: that made the forecast.
    """
    found: list[Remedy] = []
    joined: dict[str, object] = {}
    for settings in _changes(recipe):
        remedy = _tried(recipe, settings, planner)
        if remedy is not None and remedy.peak_memory_bytes < forecast.peak_memory_bytes:
            found.append(remedy)
            joined |= settings
    if len(found) > 1 and (together := _tried(recipe, joined, planner)) is not None:
        found.append(together)
    if planner.machine.sharding != "fsdp" and not planner.machine.device.on_cpu:
        sharded = _sharded(recipe, planner, "fsdp")
        if sharded is not None and sharded.peak_memory_bytes < forecast.peak_memory_bytes:
            found.append(sharded)
    return found


def _changes(recipe: Recipe) -> Iterator[dict[str, object]]:
    """Settings that cost time or quality, but no memory; none where they are set already."""
    model, training, tuning = recipe.model, recipe.training, recipe.tuning
    if isinstance(tuning, NoTuning):
        if model.quantize == "none":
            yield {"model.quantize": "nf4"}
        return
    if not training.gradient_checkpointing:
        yield {"training.gradient_checkpointing": True}
    if training.tokens_per_pass > _FEWEST_TOKENS:
        yield {"training.tokens_per_pass": max(_FEWEST_TOKENS, training.tokens_per_pass // 2)}
    whole = isinstance(tuning, FullTuning | HeadTuning)
    lora: dict[str, object] = {"tuning": LoraTuning(kind="lora").model_dump()} if whole else {}
    if whole:
        yield lora
    if model.quantize == "none":
        yield lora | {"model.quantize": "nf4"}
    if model.dtype != "bf16-true":
        yield {"model.dtype": "bf16-true"}


def _tried(recipe: Recipe, settings: dict[str, object], planner: Planner) -> Remedy | None:
    """None where the change does not go with the rest of the recipe."""
    try:
        changed = with_settings(recipe, settings)
        forecast = planner.plan(changed, "")
    except TunelabError:
        return None
    return Remedy(_typed(settings), forecast.peak_memory_bytes, forecast.fits)


def _sharded(recipe: Recipe, planner: Planner, sharding: Sharding) -> Remedy | None:
    """None where the run cannot be shared out in this way."""
    machine = planner.machine
    several = Machine(machine.device, max(_DEVICES, machine.devices), sharding)
    try:
        forecast = replace(planner, machine=several, forecasts={}).plan(recipe, "")
    except TunelabError:
        return None
    change = f"--devices {several.devices} --sharding {sharding}"
    return Remedy(change, forecast.peak_memory_bytes, forecast.fits)


def _typed(settings: dict[str, object]) -> str:
    return " ".join(
        "tuning.kind=lora" if path == "tuning" else f"{path}={_value(value)}"
        for path, value in settings.items()
    )


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
