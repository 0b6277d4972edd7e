"""Predictions as a spreadsheet, with the columns of LLaMA SQuAD's results.csv.

    Prompt | Correct answers | Model answer | Full response | Exact match

"Exact match" is the literal one, of the answer as decoded. "?" stands for "no answer"; an empty
model answer could not be read. An extractive model has no prompt, and its final answer counts.

A response is text that a model wrote, and a spreadsheet would run one that begins like a formula:
such a cell gets an apostrophe in front (OWASP, "CSV Injection"). Scores come from
predictions.jsonl, never from here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

from tunelab.evaluation.beside import said
from tunelab.metrics import answer_literal
from tunelab.records import Prediction

COLUMNS = ("Prompt", "Correct answers", "Model answer", "Full response", "Exact match")
NO_ANSWER = "?"

_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
"""White space in front may get lost on the way into a cell."""


def answers_csv(predictions: Sequence[Prediction]) -> str:
    """One line a prediction, in their order, all cells quoted."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in predictions:
        writer.writerow(harmless(cell) for cell in _cells(row))
    return text.getvalue()


def harmless(cell: str) -> str:
    """The cell, with an apostrophe in front where a spreadsheet could take it for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _cells(row: Prediction) -> tuple[str, ...]:
    answer = said(row)
    return (
        row.decoded.prompt if row.decoded else "",
        json.dumps(list(row.gold) or [NO_ANSWER], ensure_ascii=False),
        "" if answer is None else answer or NO_ANSWER,
        row.decoded.response if row.decoded else row.output,
        str(answer_literal(answer, row.gold)),
    )
