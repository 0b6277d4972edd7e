"""From a task that is answered in free text to its conversations, split and limited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from tunelab.data import chat, textqa
from tunelab.data.conversation import Conversation
from tunelab.data.sources import Part, TaskData
from tunelab.data.splits import hold_out, take_limit
from tunelab.data.tables import placed_rows
from tunelab.errors import DataError
from tunelab.recipe import AnyWrittenTask, ChatTask, TextQaTask


@dataclass(frozen=True, slots=True)
class _Found:
    """What the sources of a part hold."""

    rows: list[Conversation]
    problems: list[str]
    """Of the rows that were left out."""


def load_written(task: AnyWrittenTask, *, training: bool = True) -> TaskData[Conversation]:
    """Load, check, split and limit the conversations of a task.

    A conversation that is tested is taken out of the training, whatever its id. Rows that are said
    twice are kept, and told apart by their ids.

    Args:
        task: what is read.
        training: whether something is trained or held out; if not, only the test part is read.

    Raises:
        DataError: a source cannot be read, nothing is left, or a row cannot be read and
            `task.bad_rows` is to refuse.
    """
    test = _read(task, "test")
    source = _read(task, "train") if training else _Found([], [])
    tested = take_limit(test.rows, task.test_limit)
    seen = {conversation.turns for conversation in tested}
    kept = [each for each in source.rows if each.turns not in seen]
    train, validation = hold_out(kept, task.validation if training else 0.0)
    train = take_limit(train, task.train_limit)
    notes: list[str] = []
    for part, found in (("train", source), ("test", test)):
        if found.problems:
            notes.append(
                f"{part}: {len(found.problems)} rows that cannot be read were left out, the first: "
                f"{found.problems[0]}"
            )
    if kept:
        notes.append(f"validation: {len(validation)} of {len(kept)} training rows, by hash")
    if len(kept) < len(source.rows):
        notes.append(f"{len(source.rows) - len(kept)} training rows are also tested and left out")
    if task.train_limit is not None and training and len(train) < task.train_limit:
        notes.append(f"train_limit {task.train_limit} asked for, {len(train)} rows there are")
    return TaskData(train, validation, tested, tuple(notes))


def _read(task: AnyWrittenTask, part: Part) -> _Found:
    names = task.train if part == "train" else task.test
    if not names:
        raise DataError(
            f"task.kind={task.kind} is to be trained or validated, but task.train names nothing.",
            hint="Name rows with task.train=FILE, or leave it untuned and on the test split.",
        )
    read, form = _reader(task)
    rows: list[Conversation] = []
    problems: list[str] = []
    for name in names:
        for place, row in placed_rows(name, split=part, form=form):
            try:
                rows.append(read(row, place))
            except DataError as error:
                if task.bad_rows == "refuse":
                    raise
                problems.append(error.problem)
    if not rows:
        raise DataError(f"{' + '.join(names)} holds no row that can be read.", hint=form)
    return _Found(_named_apart(rows), problems)


def _reader(task: AnyWrittenTask) -> tuple[Callable[[dict[str, Any], str], Conversation], str]:
    match task:
        case ChatTask():
            return chat.read_conversation, chat.FORM
        case TextQaTask():
            return textqa.read_question, textqa.FORM
        case _:
            assert_never(task)


def _named_apart(rows: Sequence[Conversation]) -> list[Conversation]:
    """The same with ids of their own: -2, -3 ... where one comes again."""
    times: Counter[str] = Counter()
    named: list[Conversation] = []
    for row in rows:
        times[row.id] += 1
        again = times[row.id] > 1
        named.append(replace(row, id=f"{row.id}-{times[row.id]}") if again else row)
    return named
