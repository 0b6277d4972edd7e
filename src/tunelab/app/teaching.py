"""What people teach: questions with the answer that they say is right, as rows to train on.

The file has the official SQuAD 2.0 form, so `task.train` accepts it as it is. A question that is
taught again replaces the row before. Paragraphs that a run is tested on are refused: a model that
was trained on them would be tested on nothing.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunelab.app.highlighting import find_passage
from tunelab.data import Answer, Example, read_squad, text_hash
from tunelab.errors import DataError, UsageError
from tunelab.records import write_atomically

MOST_ROWS = 100_000
"""Of a file; nobody types more."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A row that was written."""

    answer: str
    """As it stands in the paragraph; empty: not in the text."""
    rows: int
    """All rows of the file."""


class Taught:
    """A file of taught questions.

    Args:
        path: the file; it may not be there yet.

    Raises:
        DataError: it is there, and is no SQuAD file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.rows()

    def rows(self) -> list[Example]:
        """All rows, the oldest first.

        Raises:
            DataError: the file was damaged.
        """
        return read_squad(self.path) if self.path.exists() else []

    def teach(self, example: Example, answer: str, *, tested: Iterable[str]) -> Saved:
        """Save a question with its right answer.

        Args:
            example: the question; gold answers that it has are not looked at.
            answer: a passage of its paragraph, word for word; empty: the text does not hold it.
            tested: groups of paragraphs that must not be trained on.

        Raises:
            UsageError: the paragraph is one of those, or the file is full.
            DataError: the answer does not stand in the paragraph, or the file was damaged.
            StorageError: the file cannot be written.
        """
        if example.group in tested:
            raise UsageError(
                "A run is tested on this paragraph; trained on it, its score would be no evidence.",
                hint="Teach questions on other paragraphs.",
            )
        row = replace(example, id=_row_id(example), answers=_answers(example, answer))
        with self._lock:
            rows = {each.id: each for each in self.rows()}
            rows[row.id] = row
            if len(rows) > MOST_ROWS:
                raise UsageError(f"{self.path} holds {MOST_ROWS:,} rows, which is the most.")
            write_atomically(self.path, _written(list(rows.values())))
        return Saved(row.gold[0] if row.gold else "", len(rows))

    def knows(self, examples: Sequence[Example]) -> set[str]:
        """The ids of those examples that were taught already."""
        known = {row.id for row in self.rows()}
        return {example.id for example in examples if _row_id(example) in known}


def _row_id(example: Example) -> str:
    """Of a paragraph and a question: the same text is the same row, whatever it was called."""
    return f"taught-{text_hash(f'{example.group} {example.question}')}"


def _answers(example: Example, answer: str) -> tuple[Answer, ...]:
    wanted = answer.strip()
    if not wanted:
        return ()
    passage = find_passage(example.context, wanted)
    if passage is None:
        raise DataError(
            f"'{wanted[:200]}' does not stand in the paragraph.",
            hint='Copy the answer from it word for word, or choose "not in the text".',
        )
    return (Answer(example.context[passage.start : passage.end], passage.start),)


def _written(rows: Sequence[Example]) -> str:
    """The rows as a document in the official form, articles and paragraphs in their first order."""
    articles: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        articles[row.article][row.context].append(row)
    data = [
        {
            "title": title,
            "paragraphs": [
                {"context": context, "qas": [_question(row) for row in asked]}
                for context, asked in paragraphs.items()
            ],
        }
        for title, paragraphs in articles.items()
    ]
    return json.dumps({"version": "v2.0", "data": data}, ensure_ascii=False, indent=1) + "\n"


def _question(row: Example) -> dict[str, Any]:
    answers = [{"text": answer.text, "answer_start": answer.start} for answer in row.answers]
    return {
        "id": row.id,
        "question": row.question,
        "answers": answers,
        "is_impossible": not answers,
    }
