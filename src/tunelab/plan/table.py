"""A plan as a table and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunelab.plan.fitting import Remedy
from tunelab.records import Forecast
from tunelab.report.figures import count, duration, size


def rows(forecasts: Sequence[Forecast]) -> list[dict[str, str]]:
    """One row a method, column by column."""
    return [_cells(each) for each in forecasts]


def _cells(forecast: Forecast) -> dict[str, str]:
    parts = forecast.parts
    shared = forecast.devices > 1
    return {
        "run": forecast.label,
        "fits": "yes" if forecast.fits else "NO",
        "peak memory" + (" a device" if shared else ""): size(forecast.peak_memory_bytes),
        "at its": max(forecast.phases, key=lambda name: forecast.phases[name]),
        "weights": _part(parts, "weights"),
        "gradients": _part(parts, "gradients"),
        "moments": _part(parts, "optimizer"),
        "activations": _part(parts, "activations"),
        "logits": _part(parts, "logits"),
        "keys, values": size(forecast.keys_and_values_bytes)
        if forecast.keys_and_values_bytes
        else "-",
        "trained": count(forecast.trained_parameters),
        "steps": count(forecast.steps),
        "training": duration(forecast.seconds_training),
        "search": duration(forecast.seconds_search) if forecast.seconds_search else "-",
        "answering": duration(forecast.seconds_evaluation),
        "disk": size(forecast.disk_bytes),
        "price": "-" if forecast.price is None else f"{forecast.price:.2f}",
    }


def totals(planned: Mapping[str, tuple[Forecast, int]]) -> str:
    """One sentence about all runs; label -> forecast and number of seeds."""
    runs = sum(seeds for _, seeds in planned.values())
    seconds = sum(
        seeds * (each.seconds_training + each.seconds_evaluation) + each.seconds_search
        for each, seeds in planned.values()
    )
    kept = sum(seeds * each.kept_bytes for each, seeds in planned.values())
    prices = [each.price * seeds for each, seeds in planned.values() if each.price is not None]
    told = f"{runs} runs: {duration(seconds)}, {size(kept)} kept on disk"
    return told + (f", price {sum(prices):.2f}" if prices else "") + "."


def remedy_lines(label: str, forecast: Forecast, found: Sequence[Remedy]) -> list[str]:
    """What would make a run fit."""
    head = (
        f"{label} needs {size(forecast.peak_memory_bytes)}, and there are "
        f"{size(forecast.available_bytes)}."
    )
    if not found:
        return [f"{head} Nothing that is known here makes it smaller: choose a smaller model."]
    lines = [
        f"  {each.change}: {size(each.peak_memory_bytes)}{', fits' if each.fits else ''}"
        for each in found
    ]
    return [f"{head} What would lower it:", *lines]


def _part(parts: Mapping[str, int], name: str) -> str:
    return size(parts[name]) if parts.get(name) else "-"
