"""`tunelab score pubmedqa`: accuracy and macro-F1 of a file of labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from tunelab.metrics.pubmedqa import PubmedqaScore


def score_pubmedqa(data: Path, predictions: Path, *, as_json: bool) -> None:
    """Score {PMID: label} against ori_pqal.json or a file of labels.

    Questions without a prediction are left out and counted, and the figures with them as wrong
    stand beside; the official script refuses such a file.
    """
    from tunelab.data.pubmedqa import read_labels
    from tunelab.errors import DataError
    from tunelab.evaluation.prediction_file import read_predictions
    from tunelab.metrics.pubmedqa import score_pubmedqa

    gold = read_labels(data)
    given = read_predictions(predictions).answers
    scored = [key for key in gold if key in given]
    if not scored:
        raise DataError(
            f"{predictions} predicts none of the {len(gold)} questions of {data}.",
            hint='Expected {"PMID": "yes", ...}.',
        )
    missing = len(gold) - len(scored)
    found = score_pubmedqa([gold[k] for k in scored], [given[k] for k in scored])
    strict = score_pubmedqa(list(gold.values()), [given.get(key, "") for key in gold])
    document = _document(found, [key for key in given if key not in gold])
    document["missing"] = missing
    if missing:
        document["scores_with_missing_as_wrong"] = strict.figures()
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(document)


def _document(found: PubmedqaScore, extra: list[str]) -> dict[str, Any]:
    import numpy as np

    from tunelab.evaluation.choice_scores import PUBMEDQA
    from tunelab.statistics import mean_interval

    papers = [str(index) for index in range(len(found.right))]
    rows = {"accuracy": found.right, "macro_f1": found.macro_f1}
    rows |= {f"f1_{label}": values for label, values in found.f1.items()}
    intervals = {name: mean_interval(values, papers).within(0, 1) for name, values in rows.items()}
    return {
        "task": "pubmedqa",
        "convention": PUBMEDQA,
        "questions": len(papers),
        "scores": {name: float(np.float64(value)) for name, value in found.figures().items()},
        "intervals": {name: [each.low, each.high] for name, each in intervals.items()},
        "confusion": found.confusion,
        "extra": {"count": len(extra), "first": extra[:3]},
    }


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="pubmedqa", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value in document["scores"].items():
        low, high = document["intervals"].get(name, (None, None))
        shown = "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
        table.add_row(name, f"{value:.4f}", shown)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(table)
    given = [*next(iter(document["confusion"].values()))]
    confusion = Table("right \\ given", *(label or "unreadable" for label in given))
    for right, row in document["confusion"].items():
        confusion.add_row(right, *map(str, row.values()))
    console.print(confusion)
    console.print(f"{document['questions']} questions; {document['convention']}.")
    if document["missing"]:
        strict = document["scores_with_missing_as_wrong"]
        console.print(
            f"{document['missing']} questions have no prediction and are left out; counted as "
            f"wrong: accuracy {strict['accuracy']:.4f}, macro-F1 {strict['macro_f1']:.4f}."
        )
    if document["extra"]["count"]:
        console.print(f"{document['extra']['count']} predictions are for other questions, ignored.")
