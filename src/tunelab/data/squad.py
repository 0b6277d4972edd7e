"""The official SQuAD 1.1 and 2.0 JSON format, plain or gzipped.

    {"data": [{"title", "paragraphs": [{"context", "qas":
        [{"id", "question", "answers": [{"text", "answer_start"}], "is_impossible"}]}]}]}

Whitespace and Unicode are kept as they are: offsets count characters of the text as published.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunelab.data.example import Answer, Example, text_hash
from tunelab.errors import DataError

_SCHEMA_HINT = (
    'Expected the official SQuAD form: {"data": [{"title", "paragraphs": [{"context", "qas": '
    '[{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]}.'
)


def read_squad(path: Path) -> list[Example]:
    """Read a SQuAD file.

    Raises:
        DataError: the file is missing, is no JSON, does not have the official form, holds no
            question, or holds an id twice.
    """
    examples = parse_squad(read_json(path), source=str(path))
    if not examples:
        raise DataError(f"{path} holds no question.", hint=_SCHEMA_HINT)
    refuse_duplicates(examples, source=str(path))
    return examples


def read_json(
    path: Path, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Read a .json or .json.gz file; problems are told with line and column.

    `object_pairs_hook` makes a value of the pairs of a JSON object, as in `json.loads`.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=object_pairs_hook)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no data file {path}.",
            hint="Check the path; relative paths in a recipe are relative to the recipe file.",
        ) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is no valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            hint="The file may be cut off; fetch it again.",
        ) from error


def parse_squad(document: Any, *, source: str) -> list[Example]:
    """The questions of a parsed document, in their order; `source` names it in messages."""
    examples: list[Example] = []
    for a, article in enumerate(_items(document, "data", source)):
        title = _text(article, "title", f"{source}: data[{a}]", default=f"article-{a}")
        for p, paragraph in enumerate(_items(article, "paragraphs", f"{source}: data[{a}]")):
            place = f"{source}: data[{a}].paragraphs[{p}]"
            context = _text(paragraph, "context", place)
            group = text_hash(context)
            for q, question in enumerate(_items(paragraph, "qas", place)):
                here = f"{place}.qas[{q}]"
                examples.append(
                    Example(
                        id=_text(question, "id", here),
                        question=_text(question, "question", here),
                        context=context,
                        answers=tuple(_answers(question, here)),
                        group=group,
                        article=title,
                    )
                )
    return examples


def refuse_duplicates(examples: list[Example], *, source: str) -> None:
    """Raise a `DataError` if two questions have one id."""
    seen: set[str] = set()
    doubles = [e.id for e in examples if e.id in seen or seen.add(e.id)]
    if doubles:
        raise DataError(
            f"{source}: {len(doubles)} question ids occur more than once, the first is "
            f"'{doubles[0]}'.",
            hint="Every question needs its own id. Files that overlap cannot be joined: "
            "remove the questions that they share.",
        )


def _answers(question: Any, place: str) -> Iterator[Answer]:
    if question.get("is_impossible") is True:
        return  # 2.0 may list plausible answers under another key; they are not gold
    for n, answer in enumerate(_items(question, "answers", place)):
        here = f"{place}.answers[{n}]"
        start = answer.get("answer_start") if isinstance(answer, dict) else None
        if not isinstance(start, int) or isinstance(start, bool):
            raise DataError(
                f"{here}: 'answer_start' should be a whole number; found {start!r}.",
                hint=_SCHEMA_HINT,
            )
        yield Answer(text=_text(answer, "text", here), start=start)


def _items(tree: Any, key: str, place: str) -> list[Any]:
    value = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(value, list):
        found = f"'{key}' is {type(value).__name__}" if isinstance(tree, dict) else repr(tree)[:60]
        raise DataError(
            f"{place}: there should be a list '{key}'; found: {found}.", hint=_SCHEMA_HINT
        )
    return value


def _text(tree: Any, key: str, place: str, *, default: str | None = None) -> str:
    value = tree.get(key, default) if isinstance(tree, dict) else None
    if not isinstance(value, str):
        raise DataError(f"{place}: '{key}' should be text; found {value!r:.60}.", hint=_SCHEMA_HINT)
    return value
