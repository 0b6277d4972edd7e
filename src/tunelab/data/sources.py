"""From the names in a recipe to examples: files, hub data sets, and the generated set `reading`.

A source is a path (.json, .json.gz), `reading` or `reading/SPLIT`, or a hub id `OWNER/NAME` whose
rows have the columns id, title, context, question and answers, as `rajpurkar/squad_v2` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal

from tunelab.data.example import Answer, Example, ItemT, misplaced_answers, text_hash
from tunelab.data.splits import shared_paragraphs, split_validation, take_limit
from tunelab.data.squad import parse_squad, read_squad, refuse_duplicates
from tunelab.data.tables import hub_rows
from tunelab.errors import DataError, did_you_mean
from tunelab.recipe import SquadTask, expand_variables

Part = Literal["train", "test"]
Version = Literal["1.1", "2.0"]

_INSTEAD = (
    "Without a network, give a file in the official SQuAD format, or `reading`, the set that "
    "tunelab generates."
)


@dataclass(frozen=True, slots=True)
class TaskData(Generic[ItemT]):
    """The examples of a task, and notes that a reader of its scores must know."""

    train: list[ItemT]
    validation: list[ItemT]
    test: list[ItemT]
    notes: tuple[str, ...]
    shots: dict[str, tuple[ItemT, ...]] = field(default_factory=dict)
    """Worked examples in front of the questions of a subject ("" where there are none)."""


def load_squad(task: SquadTask) -> TaskData[Example]:
    """Load, check, split and limit the data of a task.

    Raises:
        DataError: a source cannot be read, an answer is not in its context, an unanswerable
            question stands in version 1.1, or nothing is left.
    """
    sources = load_sources(task.train, part="train", version=task.version)
    test = load_sources(task.test, part="test", version=task.version)
    _check_answers(sources, task)
    if task.version == "1.1":
        _check_answerable(sources, ", ".join(task.train))
        _check_answerable(test, ", ".join(task.test))
    split = split_validation(sources, task.validation)
    train = take_limit(split.train, task.train_limit)
    test = take_limit(test, task.test_limit)
    notes = [split.note]
    if task.train_limit is not None and len(train) < task.train_limit:
        notes.append(f"train_limit {task.train_limit} asked for, {len(train)} questions there are")
    overlap = shared_paragraphs(train, test)
    if overlap:
        notes.append(
            f"WARNING: {len(overlap)} test paragraphs are also trained on; "
            "scores on them are not evidence"
        )
    return TaskData(train, split.validation, test, tuple(notes))


def load_sources(names: Sequence[str], *, part: Part, version: Version) -> list[Example]:
    """Join the examples of several sources; ids that occur twice are refused.

    For version 1.1 the generated set comes without its unanswerable questions; files and hub data
    sets come as they are.
    """
    examples = [example for name in names for example in _load(name, part, version)]
    refuse_duplicates(examples, source=" + ".join(names))
    return examples


def _load(name: str, part: Part, version: Version) -> list[Example]:
    if name == "reading" or name.startswith("reading/"):
        generated = _load_reading(name, part)
        return [e for e in generated if e.answers] if version == "1.1" else generated
    return read_squad(Path(expand_variables(name))) if is_file(name) else _load_hub(name, part)


def is_file(name: str) -> bool:
    """Whether a source is meant to be a file, be it there or not."""
    return (
        name.startswith((".", "/", "$")) or name.endswith((".json", ".gz")) or Path(name).exists()
    )


def _load_reading(name: str, part: Part) -> list[Example]:
    from tunelab.data.reading import DEFAULT_QUESTIONS, SPLITS, generate

    split = name.partition("/")[2] or part
    for known in SPLITS:
        if known == split:
            document = generate(known, questions=DEFAULT_QUESTIONS[known])
            return parse_squad(document, source=name)
    raise DataError(f"'reading' has no split '{split}'.", hint=did_you_mean(split, SPLITS))


def _load_hub(name: str, part: Part) -> list[Example]:
    """Load a data set of the hub; its validation split is the published development set."""
    split = "train" if part == "train" else "validation"
    rows = hub_rows(name, split=split, instead=_INSTEAD)
    columns = list(rows[0]) if rows else []
    missing = {"id", "context", "question", "answers"} - set(columns)
    if missing:
        raise DataError(
            f"The data set '{name}' lacks the columns {', '.join(sorted(missing))}.",
            hint=f"It has: {', '.join(columns)}.",
        )
    return [_from_row(row, name) for row in rows]


def _from_row(row: dict[str, Any], name: str) -> Example:
    gold = row["answers"]
    return Example(
        id=str(row["id"]),
        question=row["question"],
        context=row["context"],
        answers=tuple(
            Answer(text=text, start=start)
            for text, start in zip(gold["text"], gold["answer_start"], strict=True)
        ),
        group=text_hash(row["context"]),
        article=row.get("title") or name,
    )


def _check_answers(examples: Sequence[Example], task: SquadTask) -> None:
    wrong = misplaced_answers(examples)
    if wrong:
        example, answer = wrong[0]
        found = example.context[max(answer.start, 0) :][: max(len(answer.text), 1)]
        raise DataError(
            f"{', '.join(task.train)}: {len(wrong)} answers do not stand at their offset in the "
            f"context, the first in question '{example.id}': '{answer.text}' should begin at "
            f"character {answer.start}, where '{found}' stands.",
            hint="`tunelab doctor RECIPE.yaml` lists them all. Mend or remove these questions: "
            "training on them would teach wrong spans.",
        )


def _check_answerable(examples: Sequence[Example], source: str) -> None:
    empty = [example.id for example in examples if not example.answers]
    if empty:
        raise DataError(
            f"{source}: {len(empty)} questions have no answer, the first is '{empty[0]}', but "
            'task.version is "1.1".',
            hint='Say task.version="2.0" for data with unanswerable questions.',
        )
