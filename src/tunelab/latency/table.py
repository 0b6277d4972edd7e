"""The figures as a table, and as one document."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tunelab.latency.case import Case, Failed, Found, Measured, Timing
from tunelab.report.figures import size

COLUMNS = (
    "model",
    "precision",
    "batch",
    "time to first token",
    "tokens/s",
    "time per question",
    "weights",
    "peak memory",
    "",
)


def rows(cases: Sequence[Case], found: Sequence[Found]) -> Iterator[list[str]]:
    """One row a model, precision and batch, as text."""
    for case, result in zip(cases, found, strict=True):
        head = [case.name + (", merged" if case.merged else ""), case.held]
        if isinstance(result, Failed):
            yield [*head, *["-"] * 6, result.reason]
            continue
        measured = isinstance(result, Measured)
        for timing in result.timings:
            yield [
                *head,
                str(timing.batch),
                _spread(timing.first_token, seconds),
                _spread(tokens_per_second(timing), lambda value: f"{value:.3g}"),
                _spread(per_question(timing), seconds),
                size(result.weight_bytes),
                size(result.peak_bytes) if measured else "-",
                "" if measured else f"predicted: {result.basis}",
            ]


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table of text."""
    rule = ["---" if name in ("model", "precision", "") else "---:" for name in COLUMNS]
    return "\n".join(f"| {' | '.join(line)} |" for line in (COLUMNS, rule, *lines))


def document(cases: Sequence[Case], found: Sequence[Found]) -> list[dict[str, Any]]:
    """The same with all values, in seconds and bytes."""
    entries: list[dict[str, Any]] = []
    for case, result in zip(cases, found, strict=True):
        entry: dict[str, Any] = {"model": case.name, "precision": case.held, "merged": case.merged}
        if isinstance(result, Failed):
            entries.append(entry | {"failed": result.reason})
            continue
        entry |= {"parameters": result.parameters, "weight_bytes": result.weight_bytes}
        if isinstance(result, Measured):
            entry["peak_memory_bytes"] = result.peak_bytes
        else:
            entry["predicted"] = result.basis
        entries += [
            entry
            | {
                "batch": timing.batch,
                "seconds_to_first_token": list(timing.first_token),
                "tokens_per_second": tokens_per_second(timing),
                "seconds_per_question": per_question(timing),
            }
            for timing in result.timings
        ]
    return entries


def tokens_per_second(timing: Timing) -> list[float]:
    """Of all answers of a batch together, the first tokens left out; empty for an encoder."""
    return [timing.tokens / rest for rest in timing.rest] if timing.tokens else []


def per_question(timing: Timing) -> list[float]:
    """From the prompts to the whole answers, shared out among the questions."""
    if timing.first_token:
        both = zip(timing.first_token, timing.rest, strict=True)
        return [(first + rest) / timing.batch for first, rest in both]
    return [rest / timing.batch for rest in timing.rest]


def seconds(value: float) -> str:
    """A duration, three digits."""
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """The median, and the lowest and highest."""
    if not values:
        return "-"
    told = show(statistics.median(values))
    if len(values) == 1:
        return told
    return f"{told} ({show(min(values))} to {show(max(values))})"
