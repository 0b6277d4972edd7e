"""`tunelab score`: the official metric of a prediction file, without a model."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tunelab.metrics import SquadScore
    from tunelab.statistics import Interval

_NAMED = 3
"""So many missing or extra ids are named; all are counted."""


class ScoreTask(StrEnum):
    """What can be scored."""

    SQUAD = "squad"
    SQUAD_V2 = "squad_v2"
    PUBMEDQA = "pubmedqa"


def score(
    task: Annotated[
        ScoreTask, typer.Argument(help="Whose definitions: SQuAD 1.1 or 2.0, PubMedQA.")
    ],
    data: Annotated[
        Path,
        typer.Option("--data", help="Official data file, .json or .json.gz, or PubMedQA's labels."),
    ],
    predictions: Annotated[
        Path,
        typer.Option(
            "--predictions",
            help='{"id": "answer", ...} as .json or .json.gz, or a run\'s predictions.jsonl.',
        ),
    ],
    no_answer_probabilities: Annotated[
        Path | None,
        typer.Option(
            "--no-answer-probabilities",
            help='{"id": probability, ...}: adds the best thresholds. squad_v2 only.',
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score predictions by the official definitions, to the last digit."""
    if task is ScoreTask.PUBMEDQA:
        from tunelab.cli.score_pubmedqa import score_pubmedqa

        score_pubmedqa(data, predictions, as_json=as_json)
        return
    from tunelab.data import read_squad
    from tunelab.evaluation.beside import LITERAL, said
    from tunelab.evaluation.prediction_file import read_predictions, read_probabilities
    from tunelab.evaluation.scores import TUNED_ON_TEST, best_thresholds, squad_intervals
    from tunelab.metrics import score_literal, score_squad

    version = "1.1" if task is ScoreTask.SQUAD else "2.0"
    examples = {example.id: example for example in read_squad(data)}
    gold = {key: example.gold for key, example in examples.items()}
    given = read_predictions(predictions)
    scored = score_squad(
        gold,
        given.answers,
        version=version,
        no_answer_probabilities=(
            read_probabilities(no_answer_probabilities) if no_answer_probabilities else None
        ),
    )
    tuned, source = scored.tuned_on_test, "official sweep over the given no-answer probabilities"
    if not tuned and version == "2.0":
        tuned, source = best_thresholds(given.records), TUNED_ON_TEST
    literal = score_literal(
        gold,
        {row.id: said(row) for row in given.records} or given.answers,
        formatted=any(row.decoded for row in given.records),
    ).figures()
    intervals = squad_intervals(scored, [examples[key].group for key in scored.ids])
    if as_json:
        document = _document(task, scored, intervals, tuned, source)
        document["literal"] = {"convention": LITERAL, **literal}
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(task, scored, intervals, tuned, source, literal)


def _document(
    task: ScoreTask,
    scored: SquadScore,
    intervals: dict[str, Interval],
    tuned: dict[str, float],
    source: str,
) -> dict[str, Any]:
    from tunelab.evaluation.scores import convention

    document: dict[str, Any] = {
        "task": task.value,
        "convention": convention(scored.version),
        "scores": scored.figures(),
        "intervals": {name: [found.low, found.high] for name, found in intervals.items()},
        "missing": {"count": len(scored.missing), "first": scored.missing[:_NAMED]},
        "extra": {"count": len(scored.extra), "first": scored.extra[:_NAMED]},
    }
    if scored.strict:
        document["scores_with_missing_as_wrong"] = scored.strict
    if tuned:
        document["tuned_on_test"] = {"convention": source, **tuned}
    return document


def _show(
    task: ScoreTask,
    scored: SquadScore,
    intervals: dict[str, Interval],
    tuned: dict[str, float],
    source: str,
    literal: dict[str, float],
) -> None:
    from rich.console import Console
    from rich.table import Table

    from tunelab.evaluation.beside import LITERAL
    from tunelab.evaluation.scores import convention

    table = Table(title=f"{task.value}: {convention(scored.version)}", title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", "questions"):
        table.add_column(heading, justify="right")
    figures = scored.figures()
    for name, found in intervals.items():
        low, high = found.low, found.high
        shown = found.reason if low is None or high is None else f"{low:.1f} to {high:.1f}"
        table.add_row(name, f"{figures[name]:.2f}", shown, f"{found.items:,}")
    for name, value in tuned.items():
        digits = 4 if name.endswith("thresh") else 2
        table.add_row(f"{name} (tuned on test)", f"{value:.{digits}f}", "", "")
    for name, value in literal.items():
        table.add_row(name, f"{value:.4f}", "", "")
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(table)
    console.print(f"Literal: {LITERAL}.")
    for line in _remarks(scored, f"Tuned on test: {source}." if tuned else ""):
        console.print(line)


def _remarks(scored: SquadScore, about_tuning: str) -> list[str]:
    lines = [about_tuning] if about_tuning else []
    if scored.missing:
        consequence = (
            "left out of the figures; counted as wrong: "
            + ", ".join(f"{name} {value:.2f}" for name, value in scored.strict.items())
            if scored.strict
            else "each scores 0"
        )
        missing = _some(scored.missing)
        lines.append(
            f"{len(scored.missing)} questions have no prediction, {consequence}: {missing}"
        )
    if scored.extra:
        extra = _some(scored.extra)
        lines.append(f"{len(scored.extra)} predictions are for other questions, ignored: {extra}")
    return lines


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
