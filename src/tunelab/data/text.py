"""General text from files and the hub: rows with a `text`, or a text file cut into pieces.

A text file is cut at empty lines, behind 4,000 characters or more: pieces are the same for every
tokenizer, and there are several to draw an interval from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunelab.data.example import text_hash
from tunelab.data.passage import Passage
from tunelab.data.sources import Part, TaskData
from tunelab.data.splits import hold_out, take_limit
from tunelab.data.tables import local_path, placed_rows, read_text, said
from tunelab.errors import DataError
from tunelab.recipe import TextTask

FORM = 'Expected rows of the form {"text": TEXT} (.jsonl, .json, .parquet), or another text file.'
PIECE = 4_000
"""Characters that a piece of a text file has at least, but for the last one."""


def load_text(task: TextTask, *, training: bool = True) -> TaskData[Passage]:
    """Load, split and limit general text; texts that are said twice stand once.

    Raises:
        DataError: a source cannot be read, a row has no text, or nothing is left.
    """
    tested = take_limit(_read(task.test, "test"), task.test_limit)
    seen = {passage.id for passage in tested}
    source = _read(task.train, "train") if training else []
    kept = [passage for passage in source if passage.id not in seen]
    train, validation = hold_out(kept, task.validation if training else 0.0)
    notes: list[str] = []
    if kept:
        notes.append(f"validation: {len(validation)} of {len(kept)} training texts, by hash")
    if len(kept) < len(source):
        notes.append(f"{len(source) - len(kept)} training texts are also tested and left out")
    return TaskData(take_limit(train, task.train_limit), validation, tested, tuple(notes))


def cut(text: str) -> list[str]:
    """Pieces of a text, cut at empty lines behind `PIECE` characters or more."""
    pieces: list[str] = []
    piece = ""
    for paragraph in text.split("\n\n"):
        piece += paragraph + "\n\n"
        if len(piece) >= PIECE:
            pieces.append(piece.strip())
            piece = ""
    pieces.append(piece.strip())
    return [piece for piece in pieces if piece]


def _read(names: Sequence[str], part: Part) -> list[Passage]:
    if not names:
        raise DataError(
            "task.kind=text is to be trained or validated, but task.train names nothing.",
            hint="Name a text with task.train=FILE, or leave it untuned and on the test split.",
        )
    texts = [text for name in names for text in _texts(name, part)]
    if not texts:
        raise DataError(f"{' + '.join(names)} holds no text.", hint=FORM)
    return [Passage(text_hash(text), text, text_hash(text)) for text in dict.fromkeys(texts)]


def _texts(name: str, part: Part) -> list[str]:
    path = local_path(name)
    if path is not None and _is_text(path):
        return cut(read_text(path))
    return [
        said(row.get("text"), f"{place}, 'text'", form=FORM)
        for place, row in placed_rows(name, split=part, form=FORM)
    ]


def _is_text(path: Path) -> bool:
    return not path.name.removesuffix(".gz").endswith((".json", ".jsonl", ".parquet"))
