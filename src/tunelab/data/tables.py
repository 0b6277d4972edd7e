"""Rows of tasks from files and the hub, and what every reader of them checks."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunelab.data.choice import ChoiceExample
from tunelab.data.hub import prepare_hub
from tunelab.errors import DataError, did_you_mean
from tunelab.recipe import expand_variables

ENDINGS = (".json", ".jsonl", ".gz", ".csv", ".parquet", ".txt")
MEND = "Mend or remove the row, or leave such rows out with task.bad_rows=leave-out."


def local_path(name: str) -> Path | None:
    """The path that a name in a recipe means, or None for the id of a hub data set."""
    expanded = expand_variables(name)
    path = Path(expanded)
    if path.exists() or expanded.endswith(ENDINGS) or expanded.startswith((".", "/", "~")):
        return path.expanduser()
    return None


def read_rows(path: Path, *, form: str) -> list[dict[str, Any]]:
    """The objects of a .jsonl file, plain or gzipped; `form` says what they should look like.

    Raises:
        DataError: the file is missing or broken, or a line is no object.
    """
    return [row for _, row in _lines(read_text(path), path, form)]


def placed_rows(name: str, *, split: str, form: str) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a file or a hub data set, each with its place for messages.

    Args:
        name: .jsonl, .json (a list), either gzipped, or .parquet; else a hub id, which may name
            its split itself: `OWNER/NAME#SPLIT`.
        split: of a hub id that names none.
        form: what rows should look like.

    Raises:
        DataError: the source cannot be read, or a row is no object.
    """
    path = local_path(name)
    if path is None:
        hub, _, own = name.partition("#")
        rows = hub_rows(hub, split=own or split, instead=_OWN_INSTEAD)
        return [(f"{name}: row {number}", row) for number, row in enumerate(rows, start=1)]
    if path.suffix == ".parquet":
        rows = _parquet(path)
        return [(f"{path}: row {number}", row) for number, row in enumerate(rows, start=1)]
    text = read_text(path)
    if not text.lstrip().startswith("["):
        return [(f"{path}: line {number}", row) for number, row in _lines(text, path, form)]
    try:
        listed: list[Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: line {error.lineno} is no valid JSON: {error.msg}.", hint=form
        ) from error
    for number, row in enumerate(listed, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path}: row {number} is {row!r:.60}, no object.", hint=form)
    return [(f"{path}: row {number}", row) for number, row in enumerate(listed, start=1)]


def read_text(path: Path) -> str:
    """The text of a file, plain or gzipped.

    Raises:
        DataError: the file is missing, broken or not in UTF-8.
    """
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}.", hint="Check the path.") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _lines(text: str, path: Path, form: str) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a .jsonl text, with the numbers of their lines."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: line {number} is no valid JSON: {error.msg}.", hint=form
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is {line[:60]!r}, no object.", hint=form)
        rows.append((number, row))
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        table: Any = parquet.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}.", hint="Check the path.") from error
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}.") from error
    return table.to_pylist()


_INSTEAD = "Without a network, give the official file: task.test=FILE, or `--data FILE`."
_OWN_INSTEAD = (
    "Without a network, give a file: .jsonl, .json or .parquet. With one, OWNER/NAME#SPLIT names "
    "a split of the data set, such as #train."
)


def hub_rows(
    name: str, *, split: str, config: str | None = None, instead: str = _INSTEAD
) -> list[dict[str, Any]]:
    """The rows of a data set of the hub; `instead` says what to do without it.

    Raises:
        DataError: there is no network and no cached copy, or no such data set, part or split.
    """
    import datasets
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    prepare_hub()
    try:
        rows: Any = datasets.load_dataset(name, config, split=split)
    except (OSError, ValueError, DatasetsError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise DataError(
            f"'{name}' is no file here, and as a data set of the hub it could not be loaded: "
            f"{str(error).strip().splitlines()[0]}",
            hint=instead,
        ) from error
    return [dict(row) for row in rows]


def text_of(row: object, key: str, place: str, *, form: str) -> str:
    """The text at a key of a row; anything else is a `DataError`."""
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: '{key}' should be text; found {value!r:.60}.", hint=form)
    return value


def said(value: object, place: str, *, form: str) -> str:
    """A text of a row that says something.

    Raises:
        DataError: it is no text, or empty; `form` says what rows should look like.
    """
    if not isinstance(value, str):
        kind = "nothing" if value is None else f"a {type(value).__name__}: {value!r:.60}"
        raise DataError(f"{place} should be text; found {kind}.", hint=f"{form} {MEND}")
    if not value.strip():
        raise DataError(f"{place} is empty.", hint=MEND)
    return value


def check_choices(examples: Sequence[ChoiceExample], *, source: str) -> None:
    """Ids are distinct, and every question has two choices or more, none of them empty.

    Raises:
        DataError: not so; or there is no question at all.
    """
    if not examples:
        raise DataError(f"{source} holds no question.")
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise DataError(
                f"{source}: the id '{example.id}' occurs more than once.",
                hint="Every question needs its own id. Files that overlap cannot be joined.",
            )
        seen.add(example.id)
        if len(example.choices) < 2 or not all(choice.strip() for choice in example.choices):
            raise DataError(
                f"{source}: question '{example.id}' has the choices {list(example.choices)}; two "
                "or more are needed, none of them empty.",
                hint="Mend or remove the question.",
            )


def key_index(key: str, labels: Sequence[str], *, place: str) -> int:
    """Which choice an answer key names.

    Raises:
        DataError: none.
    """
    if key not in labels:
        raise DataError(
            f"{place}: the answer key is '{key}', but the choices are {', '.join(labels)}.",
            hint=did_you_mean(key, labels) + " Mend or remove the question.",
        )
    return list(labels).index(key)
