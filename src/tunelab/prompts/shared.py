"""Tokenised examples on disk, so that the runs of a grid tokenise them once.

    FOLDER/windows-<key>.npz    key: the examples, the tokenizer, the length of windows, the stride

Plain arrays behind a SHA-256 of them: a file that is damaged is not read but made anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from tunelab.data import Example, examples_digest
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import Model
from tunelab.records import write_atomically

VERSION = 1
"""Raised whenever `encode_windows` makes other windows of the same examples."""
_DIGEST_BYTES = 32


def shared_windows(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    settings: Model,
    *,
    folder: Path | None,
) -> list[Window]:
    """What `encode_windows` returns, read from `folder` where an earlier run left it there.

    Raises:
        DataError: a question leaves no room for its context.
        StorageError: the disk is full or not writable.
    """
    if folder is None or not examples:
        return encode_windows(examples, tokenizer, settings)
    path = folder / f"windows-{_key(examples, tokenizer, settings)}.npz"
    windows = _read(path)
    if windows is None:
        windows = encode_windows(examples, tokenizer, settings)
        _write(path, windows)
    return windows


def _key(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, settings: Model) -> str:
    backend: Any = tokenizer
    parts = (
        VERSION,
        examples_digest(examples),
        backend.backend_tokenizer.to_str(),
        sorted(tokenizer.special_tokens_map.items()),
        settings.max_length,
        settings.stride,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _write(path: Path, windows: Sequence[Window]) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ids=_array(token for window in windows for token in window.input_ids),
        types=_array(kind for window in windows for kind in window.token_type_ids),
        lengths=_array(len(window.input_ids) for window in windows),
        offsets=_array(place for window in windows for span in window.offsets for place in span),
        contexts=_array(len(window.offsets) for window in windows),
        rest=_array(
            number
            for window in windows
            for number in (
                window.example,
                window.context_start,
                window.null_position,
                *window.target,
            )
        ),
    )
    content = buffer.getvalue()
    write_atomically(path, hashlib.sha256(content).digest() + content)


def _array(values: Any) -> np.ndarray[Any, Any]:
    """Whole numbers in as few bytes as they need."""
    array = np.fromiter(values, dtype=np.int64)
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def _read(path: Path) -> list[Window] | None:
    """The windows of a file; None where it is missing or damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content[_DIGEST_BYTES:]).digest() != content[:_DIGEST_BYTES]:
        return None
    with np.load(io.BytesIO(content[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        held = {name: arrays[name].tolist() for name in arrays.files}
    places = held["offsets"]
    offsets = list(zip(places[::2], places[1::2], strict=True))
    tokens = pairwise(accumulate(held["lengths"], initial=0))
    contexts = pairwise(accumulate(held["contexts"], initial=0))
    rest = iter(held["rest"])
    return [
        Window(
            example=example,
            input_ids=held["ids"][first:last],
            token_type_ids=held["types"][first:last],
            context_start=start,
            offsets=offsets[begin:end],
            null_position=null,
            target=(target_start, target_end),
        )
        for (first, last), (begin, end), (example, start, null, target_start, target_end) in zip(
            tokens, contexts, zip(*[rest] * 5, strict=True), strict=True
        )
    ]
