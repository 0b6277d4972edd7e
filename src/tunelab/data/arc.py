"""ARC: the official .jsonl files, or the hub's rows. Three to five choices, labels A-E or 1-5."""

from __future__ import annotations

from typing import Any, Literal

from tunelab.data.choice import ChoiceExample
from tunelab.data.tables import hub_rows, key_index, local_path, read_rows, text_of
from tunelab.errors import DataError

_FORM = (
    'Expected lines of the form {"id", "question": {"stem", "choices": [{"text", "label"}]}, '
    '"answerKey"}.'
)
_CONFIGS = {"challenge": "ARC-Challenge", "easy": "ARC-Easy"}


def read_arc(name: str, part: Literal["challenge", "easy"], *, split: str) -> list[ChoiceExample]:
    """The questions of a file, or of a split of a hub data set.

    Raises:
        DataError: the source cannot be read, or an answer key names no choice.
    """
    path = local_path(name)
    if path is None:
        rows = hub_rows(name, split=split, config=_CONFIGS[part])
        return [
            _example(
                row["id"],
                row["question"],
                row["choices"]["text"],
                row["choices"]["label"],
                row["answerKey"],
                place=f"{name}, '{row['id']}'",
            )
            for row in rows
        ]
    examples: list[ChoiceExample] = []
    for number, row in enumerate(read_rows(path, form=_FORM), start=1):
        place = f"{path}, question {number}"
        key = text_of(row, "id", place, form=_FORM)
        question: Any = row.get("question")
        choices: Any = question.get("choices") if isinstance(question, dict) else None
        if not isinstance(choices, list):
            raise DataError(f"{place}: 'question' has no list of choices.", hint=_FORM)
        examples.append(
            _example(
                key,
                text_of(question, "stem", place, form=_FORM),
                [text_of(choice, "text", place, form=_FORM) for choice in choices],
                [text_of(choice, "label", place, form=_FORM) for choice in choices],
                text_of(row, "answerKey", place, form=_FORM),
                place=f"{path}, '{key}'",
            )
        )
    return examples


def _example(
    key: str, question: str, choices: list[str], labels: list[str], answer: str, *, place: str
) -> ChoiceExample:
    return ChoiceExample(
        id=key,
        question=question,
        choices=tuple(choices),
        answer=key_index(answer, labels, place=place),
        group=key,
    )
