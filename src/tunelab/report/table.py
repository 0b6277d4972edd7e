"""One row a method: what it trained, what it cost, what it scored. Nothing is left out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunelab.records import Cost, Forecast
from tunelab.report.figures import count, duration, middle, rate, scored, share, size, spread
from tunelab.report.study import Method, Run
from tunelab.statistics import Interval, mean_interval


@dataclass(frozen=True, slots=True)
class Row:
    """A method's figures; lists hold one value a finished run."""

    method: Method
    intervals: dict[str, Interval]
    """Name in scores.json -> mean over seeds and items, in points."""

    @property
    def costs(self) -> list[Cost]:
        """Of the finished runs."""
        return [run.manifest.cost for run in self.method.finished if run.manifest.cost]

    @property
    def plans(self) -> list[tuple[Forecast, Cost]]:
        """What the finished runs were predicted to need, where they were planned, and needed."""
        return [
            (run.planned, run.manifest.cost)
            for run in self.method.finished
            if run.planned and run.manifest.cost
        ]

    @property
    def status(self) -> str:
        """How many runs there are of those asked for, and what became of the others."""
        states = Counter(run.status for run in self.method.runs)
        finished = states.pop("ok", 0)
        if self.method.missing_seeds:
            states["missing"] = len(self.method.missing_seeds)
        asked = finished + sum(states.values())
        others = ", ".join(f"{number} {state}" for state, number in states.items())
        return f"{finished} of {asked}" + (f" ({others})" if others else "")


def make_row(method: Method) -> Row:
    """The row of a method; without intervals where no run finished."""
    intervals: dict[str, Interval] = {}
    items = method.items
    if items is not None:
        for name, metric in (method.measured.metrics if method.measured else {}).items():
            about, scores = method.scores(name)
            groups = [g for g, wanted in zip(items.groups, about, strict=True) if wanted]
            found = mean_interval(scores[:, about], groups)
            intervals[name] = found.within(0, metric.highest)
    return Row(method, intervals)


def metrics_of(rows: Sequence[Row]) -> dict[str, str]:
    """The metrics that some row has, in their order: name in scores.json -> spoken name."""
    return {
        name: metric.spoken
        for row in rows
        if row.method.measured
        for name, metric in row.method.measured.metrics.items()
    }


def cells(row: Row, metrics: Mapping[str, str]) -> dict[str, str]:
    """A row as text, column by column."""
    costs, runs, plans = row.costs, row.method.finished, row.plans
    trained = costs[0].trained_parameters if costs else 0
    return {
        "method": row.method.label,
        "runs": row.status,
        "learning rate": _rates(row.method.runs),
        "trained parameters": f"{count(trained)} ({share(trained, costs[0].total_parameters)})"
        if costs
        else "-",
        "search": _search(row.method.runs),
        "training time": spread([c.seconds_training for c in costs], duration),
        "peak memory": spread([c.peak_memory_bytes for c in costs], size),
        "planned memory": _planned(
            [(p.peak_memory_bytes, c.peak_memory_bytes) for p, c in plans], size
        ),
        "planned time": _planned(
            [(p.seconds_training, c.seconds_training) for p, c in plans], duration
        ),
        "saved": spread([c.saved_bytes for c in costs], size),
        "tokens/s": spread([c.tokens_per_second for c in costs], count),
        "price": spread([c.price for c in costs], lambda value: f"{value:.2f}"),
        "loss, first": spread([r.manifest.loss_first for r in runs], lambda value: f"{value:.2f}"),
        "loss, last": spread([r.manifest.loss_last for r in runs], lambda value: f"{value:.2f}"),
        **{spoken: _scored(row.intervals.get(name)) for name, spoken in metrics.items()},
    }


def markdown(rows: Sequence[Row]) -> str:
    """The table in markdown."""
    metrics = metrics_of(rows)
    return ruled([cells(row, metrics) for row in rows])


def ruled(texts: Sequence[Mapping[str, str]]) -> str:
    """Rows of equal columns in markdown; a column that is empty throughout is left out."""
    columns = [name for name in texts[0] if any(text[name] != "-" for text in texts)]
    lines = [
        "| " + " | ".join(columns) + " |",
        "| "
        + " | ".join("---" if name in ("method", "runs") else "---:" for name in columns)
        + " |",
    ]
    lines += ["| " + " | ".join(_escaped(text[name]) for name in columns) + " |" for text in texts]
    return "\n".join(lines)


def comma_separated(rows: Sequence[Row]) -> str:
    """One line a run, raw numbers: for spreadsheets."""
    metrics = metrics_of(rows)
    lines = [_raw(row, run, metrics) for row in rows for run in row.method.runs]
    lines += [
        {"method": row.method.label, "seed": seed, "status": "missing"}
        for row in rows
        for seed in row.method.missing_seeds
    ]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _raw(row: Row, run: Run, metrics: Iterable[str]) -> dict[str, Any]:
    cost = run.manifest.cost.model_dump() if run.manifest.cost else {}
    scored = {
        name: float(run.measured.metrics[name].values[run.measured.metrics[name].about].mean())
        for name in metrics
        if run.measured and name in run.measured.metrics
    }
    return {
        "method": row.method.label,
        "seed": run.recipe.seed,
        "status": run.status,
        "run": run.directory.path.name,
        "learning_rate": None if run.damage else run.recipe.training.learning_rate,
        **cost,
        **_planned_columns(run),
        **_search_columns(run),
        "loss_first": run.manifest.loss_first,
        "loss_last": run.manifest.loss_last,
        **scored,
        "message": run.message,
    }


def _search_columns(run: Run) -> dict[str, Any]:
    cost = run.manifest.search_cost
    return {f"search_{name}": value for name, value in cost.model_dump().items()} if cost else {}


def _planned_columns(run: Run) -> dict[str, Any]:
    plan = run.planned
    if plan is None:
        return {}
    return {
        "planned_peak_memory_bytes": plan.peak_memory_bytes,
        "planned_seconds_training": plan.seconds_training,
        "planned_seconds_evaluation": plan.seconds_evaluation,
    }


def _rates(runs: Sequence[Run]) -> str:
    """The learning rate, and whether a search chose it."""
    runs = [run for run in runs if run.manifest.loss_first is not None]
    if not runs:
        return "-"
    rates = ", ".join(dict.fromkeys(rate(run.recipe.training.learning_rate) for run in runs))
    return f"{rates} (searched)" if any(run.manifest.search for run in runs) else rates


def _search(runs: Sequence[Run]) -> str:
    """What choosing the settings took; the seeds of a method share it."""
    costs = [run.manifest.search_cost for run in runs if run.manifest.search_cost]
    if not costs:
        return "-"
    cost = costs[0]
    price = f", {cost.price:.2f}" if cost.price is not None else ""
    return f"{cost.trials} trials, {duration(cost.seconds)}{price}"


def _planned(pairs: Sequence[tuple[float, float | None]], show: Callable[[float], str]) -> str:
    """What was predicted, and by how much it was off: 1.2 GiB (+3 %)."""
    off = [predicted / found - 1 for predicted, found in pairs if found]
    if not off or not any(predicted for predicted, _ in pairs):
        return "-"
    return f"{spread([predicted for predicted, _ in pairs], show)} ({100 * middle(off):+.0f} %)"


def _scored(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return scored(interval.value)
    return scored(interval.value, interval.low, interval.high)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
