"""TruthfulQA: the authors' mc_task.json, or the hub's rows.

MC1 and MC2 are about the same false answers; MC2 counts further true ones. So one question holds
the choices of both.
"""

from __future__ import annotations

from typing import Any

from tunelab.data.choice import ChoiceExample
from tunelab.data.example import text_hash
from tunelab.data.squad import read_json
from tunelab.data.tables import hub_rows, local_path, text_of
from tunelab.errors import DataError

_FORM = (
    'Expected the form of mc_task.json: [{"question", "mc1_targets": {answer: 0 or 1}, '
    '"mc2_targets": {answer: 0 or 1}}].'
)


def read_truthfulqa(name: str) -> list[ChoiceExample]:
    """The questions of a file or of a hub data set.

    Raises:
        DataError: the source cannot be read, or its two lists contradict each other.
    """
    path = local_path(name)
    if path is None:
        rows = hub_rows(name, split="validation", config="multiple_choice")
        return [
            _example(row["question"], _pairs(row["mc1_targets"]), _pairs(row["mc2_targets"]), name)
            for row in rows
        ]
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path} holds no list.", hint=_FORM)
    examples: list[ChoiceExample] = []
    for number, row in enumerate(content, start=1):
        place = f"{path}, question {number}"
        question = text_of(row, "question", place, form=_FORM)
        examples.append(
            _example(
                question,
                _targets(row.get("mc1_targets"), place),
                _targets(row.get("mc2_targets"), place),
                place,
            )
        )
    return examples


def _example(
    question: str, first: dict[str, int], second: dict[str, int], place: str
) -> ChoiceExample:
    """The choices in the order of MC2."""
    best = [answer for answer, right in first.items() if right]
    false = {answer for answer, right in first.items() if not right}
    if (
        len(best) != 1
        or not second.get(best[0])
        or false != {answer for answer, right in second.items() if not right}
    ):
        raise DataError(
            f"{place}: mc1_targets should have one true answer, which is true in mc2_targets, and "
            "the same false answers as those.",
            hint=_FORM,
        )
    choices = tuple(second)
    return ChoiceExample(
        id=text_hash(question),
        question=question,
        choices=choices,
        answer=choices.index(best[0]),
        group=text_hash(question),
        also_true=tuple(
            index for index, answer in enumerate(choices) if second[answer] and answer != best[0]
        ),
    )


def _targets(value: object, place: str) -> dict[str, int]:
    if not isinstance(value, dict) or not all(right in (0, 1) for right in value.values()):
        raise DataError(f"{place}: targets should be answers with 0 or 1.", hint=_FORM)
    return value


def _pairs(value: dict[str, Any]) -> dict[str, int]:
    return dict(zip(value["choices"], value["labels"], strict=True))
