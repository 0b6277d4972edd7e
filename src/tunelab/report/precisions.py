"""What was trained, scored in several precisions: a row each, and what each costs and saves.

A precision is compared with the same weights in the precision that they were trained in, question
by question; where the recipe lists that precision too, memory and speed are compared like for like,
for then both were measured in a process that does nothing but answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.report.comparing import Comparison, compare_all
from tunelab.report.figures import count, duration, size, spread
from tunelab.report.study import Method, Study
from tunelab.report.table import Row, cells, make_row, metrics_of

PRECISIONS_MEANING = (
    "Weights: all of the model, adapter included, as they are held while it answers; on disk they "
    "take the same.",
    "Peak memory of a row `method@precision`: of a process that answers and trains nothing.",
)
"""What the columns mean."""


def precision_cells(study: Study) -> list[dict[str, str]]:
    """One row a method and precision, as text, column by column."""
    rows = [make_row(method) for method in study.precisions]
    return [_cells(row, rows) for row in rows]


def precision_sentences(study: Study) -> list[str]:
    """What each precision costs and saves, against the one that was trained in."""
    return [
        sentence
        for method in study.methods
        for sentence in _sentences(method, [m for m in study.precisions if _of(m, method)])
    ]


def _cells(row: Row, rows: Sequence[Row]) -> dict[str, str]:
    metrics = metrics_of(rows)
    told, costs = cells(row, metrics), row.costs
    return {
        "method": told["method"],
        "runs": told["runs"],
        "weights": spread([cost.held_bytes for cost in costs], size),
        "peak memory": told["peak memory"],
        "answering": spread([cost.seconds_evaluation for cost in costs], duration),
        "tokens/s": spread([cost.answering_tokens_per_second for cost in costs], count),
        **{spoken: told[spoken] for spoken in metrics.values()},
    }


def _of(scored: Method, trained: Method) -> bool:
    return scored.label.rpartition("@")[0] == trained.label


def _precision(scored: Method) -> str:
    return scored.label.rpartition("@")[2]


def _sentences(trained: Method, scored: Sequence[Method]) -> list[str]:
    if not trained.finished:
        return []
    own = trained.finished[0].recipe.model.quantize
    reference = next((m for m in scored if _precision(m) == own and m.finished), trained)
    others = [m for m in scored if _precision(m) != own and m.finished]
    found = compare_all([reference, *others])
    return [
        f"{trained.label}: {_precision(other)} {_cost(each)}{_saving(reference, other)}."
        for other in others
        for each in found
        if each.primary and each.verdict.pair == (reference.label, other.label)
    ]


def _cost(comparison: Comparison) -> str:
    """The difference, told as what the precision takes away or adds."""
    verdict = comparison.verdict
    found = verdict.difference
    sign = 1 if found.value >= 0 else -1
    told = f"{'costs' if sign > 0 else 'adds'} {abs(found.value):.1f} {verdict.metric}"
    if found.low is not None and found.high is not None:
        low, high = sorted((sign * found.low, sign * found.high))
        told += f" [{low:.1f}, {high:.1f}]"
    shown = verdict.outcome in ("better", "worse")
    return f"{told}, {'shown' if shown else verdict.outcome}"


def _saving(reference: Method, other: Method) -> str:
    held = [
        [run.manifest.cost.held_bytes for run in method.finished if run.manifest.cost][:1]
        for method in (reference, other)
    ]
    match held:
        case [[int(before)], [int(after)]] if before:
            saved = 1 - after / before
            word = "saves" if saved >= 0 else "takes"
            told = f"{word} {abs(saved):.0%}".replace("%", " %")
            return f"; {told} {'' if saved >= 0 else 'more '}memory for the weights"
        case _:
            return ""
