"""Reads files of predictions: the official JSON form, and the predictions.jsonl of a run.

    {"question id": "answer", ...}          .json or .json.gz; "" where the question has no answer
    {"question id": 0.25, ...}              probabilities that there is no answer

No torch, no model: scoring needs answers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.data import read_json
from tunelab.errors import DataError, RecordError
from tunelab.records import Prediction, read_lines

_FORM = 'Expected one JSON object: {"question id": "answer", ...}, "" where there is no answer.'
_PROBABILITIES_FORM = 'Expected one JSON object: {"question id": 0.25, ...}.'


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """Answers by question id, in the order of the file."""

    answers: dict[str, str]
    records: tuple[Prediction, ...]
    """The rows of a predictions.jsonl; empty for the official form."""


def read_predictions(path: Path) -> PredictionFile:
    """Read answers.

    Raises:
        DataError: the file is missing, broken, of another form, or holds an id twice.
    """
    _require(path)
    if path.suffix == ".jsonl":
        return _read_records(path)
    answers = _read_object(path, form=_FORM)
    wrong = [key for key, value in answers.items() if not isinstance(value, str)]
    if wrong:
        raise DataError(
            f"{path}: {len(wrong)} of {len(answers)} predictions are no text, the first is "
            f"'{wrong[0]}': {answers[wrong[0]]!r:.60}.",
            hint=_FORM,
        )
    return PredictionFile(answers, records=())


def read_probabilities(path: Path) -> dict[str, float]:
    """Read no-answer probabilities; a `DataError` as in `read_predictions`."""
    _require(path)
    probabilities = _read_object(path, form=_PROBABILITIES_FORM)
    wrong = [key for key, value in probabilities.items() if not _is_number(value)]
    if wrong:
        raise DataError(
            f"{path}: {len(wrong)} of {len(probabilities)} values are no numbers, the first is "
            f"'{wrong[0]}': {probabilities[wrong[0]]!r:.60}.",
            hint=_PROBABILITIES_FORM,
        )
    return probabilities


def _require(path: Path) -> None:
    if path.is_dir():
        raise DataError(
            f"{path} is a folder, not a file.",
            hint=f"For a run, give {path / 'predictions.jsonl'}.",
        )
    if not path.exists():
        raise DataError(f"There is no file {path}.", hint="Check the path.")


def _read_records(path: Path) -> PredictionFile:
    try:
        records = read_lines(path, Prediction, appended=False)
    except RecordError as error:
        raise DataError(
            f"{path} cannot be read: {error}",
            hint='A .jsonl file should be the predictions.jsonl of a run; the form {"id": '
            '"answer", ...} belongs in a .json file.',
        ) from error
    _refuse_doubles([record.id for record in records], path)
    return PredictionFile({record.id: record.answer for record in records}, tuple(records))


def _read_object(path: Path, *, form: str) -> dict[str, Any]:
    def pairs_to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):  # json keeps the last one in silence
            _refuse_doubles([key for key, _ in pairs], path)
        return dict(pairs)

    content = read_json(path, object_pairs_hook=pairs_to_dict)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {_describe(content)}.", hint=form)
    if "data" in content and isinstance(content["data"], list):
        raise DataError(
            f"{path} is a data file of questions, not one of predictions.",
            hint=f"{form} Were --data and --predictions mixed up?",
        )
    return content


def _refuse_doubles(ids: Sequence[str], path: Path) -> None:
    seen: set[str] = set()
    doubles = [key for key in ids if key in seen or seen.add(key)]
    if doubles:
        raise DataError(
            f"{path}: {len(doubles)} ids occur more than once, the first is '{doubles[0]}'.",
            hint="Keep one prediction for every question.",
        )


def _describe(content: object) -> str:
    return f"a list of {len(content)}" if isinstance(content, list) else f"{content!r:.60}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
