"""Rows of choice tasks from files and the hub, and what every reader of them checks."""

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

ENDINGS = (".json", ".jsonl", ".gz", ".csv")


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
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}.", hint="Check the path.") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    rows: list[dict[str, Any]] = []
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
        rows.append(row)
    return rows


_INSTEAD = "Without a network, give the official file: task.test=FILE, or `--data FILE`."


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
