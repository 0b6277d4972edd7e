"""HellaSwag: the authors' .jsonl files, or the hub's rows, cleaned as lm-eval cleans them.

The cleaning is that of lm-eval 0.4.13 (tasks/hellaswag/utils.py), step by step: its figures are the
ones that are quoted.
"""

from __future__ import annotations

import re
from typing import Any

from tunelab.data.choice import ChoiceExample
from tunelab.data.tables import hub_rows, local_path, read_rows, text_of
from tunelab.errors import DataError

_FORM = 'Expected lines with "activity_label", "ctx_a", "ctx_b", "endings" and "label" (0 to 3).'
_BRACKETS = re.compile(r"\[.*?\]")


def read_hellaswag(name: str, *, split: str) -> list[ChoiceExample]:
    """The scenes of a file, or of a split of a hub data set.

    A group is a source (a film, an article), where the rows tell it: several scenes come from one.

    Raises:
        DataError: the source cannot be read, or a label names no ending.
    """
    path = local_path(name)
    rows = hub_rows(name, split=split) if path is None else read_rows(path, form=_FORM)
    return [
        _example(row, number, place=f"{path or name}, row {number}")
        for number, row in enumerate(rows)
    ]


def clean(text: str) -> str:
    """Without the marks that were left of the pages of wikiHow."""
    text = text.strip().replace(" [title]", ". ")
    return _BRACKETS.sub("", text).replace("  ", " ")


def _example(row: dict[str, Any], number: int, *, place: str) -> ChoiceExample:
    activity, first, second, label = (
        text_of(row, key, place, form=_FORM)
        for key in ("activity_label", "ctx_a", "ctx_b", "label")
    )
    endings = row.get("endings")
    if not isinstance(endings, list) or not all(isinstance(text, str) for text in endings):
        raise DataError(f"{place}: 'endings' should be a list of texts.", hint=_FORM)
    if not label.isdecimal() or int(label) >= len(endings):
        raise DataError(
            f"{place}: the label is '{label}', but there are {len(endings)} endings.", hint=_FORM
        )
    key = str(row.get("ind", row.get("row", number)))
    return ChoiceExample(
        id=key,
        question=clean(f"{activity}: {first} {second.capitalize()}"),
        choices=tuple(map(clean, endings)),
        answer=int(label),
        group=str(row.get("source_id") or key),
    )
