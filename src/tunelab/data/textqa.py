"""Rows of questions on a text that are answered in free words.

    {"context": "...", "question": "...", "answers": ["...", "..."], "id": "..."}

`answers` may be one text, a list, or SQuAD's table with a list `text`; the first one is trained.
Without a context the question stands alone.
"""

from __future__ import annotations

from typing import Any

from tunelab.data.conversation import Conversation, Turn
from tunelab.data.example import text_hash
from tunelab.data.tables import MEND, said
from tunelab.errors import DataError

FORM = 'Expected rows of the form {"context": TEXT, "question": TEXT, "answers": [TEXT, ...]}.'


def read_question(row: dict[str, Any], place: str) -> Conversation:
    """The question of a row as a conversation of one question and one reply.

    Raises:
        DataError: a part is missing, empty or of the wrong type.
    """
    question = said(row.get("question"), f"{place}, 'question'", form=FORM)
    context = row.get("context")
    context = said(context, f"{place}, 'context'", form=FORM) if context is not None else ""
    answers = _answers(row.get("answers"), place)
    named = row.get("id")
    return Conversation(
        id=text_hash(f"{context}\n{question}\n{answers}") if named is None else str(named),
        turns=(Turn("user", worded(context, question)), Turn("assistant", answers[0])),
        group=text_hash(context or question),
        gold=answers,
    )


def worded(context: str, question: str) -> str:
    """What the user says: the text first, so that all questions on it begin with the same words."""
    return f"{context}\n\n{question}" if context else question


def _answers(value: object, place: str) -> tuple[str, ...]:
    match value:
        case str():
            given = [value]
        case list():
            given = value
        case {"text": list(texts)}:
            given = texts
        case _:
            raise DataError(
                f"{place}, 'answers' should be a list of texts; found {value!r:.60}.", hint=FORM
            )
    if not given:
        raise DataError(f"{place} has no answer: there is nothing to learn.", hint=MEND)
    return tuple(said(each, f"{place}, 'answers'", form=FORM) for each in given)
