"""Reads the answer off what a decoder wrote. The text is untrusted: every text has a result.

    plain        the text up to the first stop
    chat-json    the text that "answer" has in the first JSON object behind a fence (```), else in
                 the object that begins at the first brace

JSON is tried first, then JSON5, which allows what models like to write: single quotes, bare keys,
trailing commas, comments. JSON5's reader takes quadratic time, so it sees `LENIENT_CHARACTERS` at
most; JSON may be of any length. What cannot be read is kept as it stands and marked: officially it
is then a wrong answer, not an abstention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

Style = Literal["plain", "chat-json"]

LENIENT_CHARACTERS = 2_000
"""A hundred times the length of an answer, and at most a tenth of a second."""

_FENCED = re.compile(r"```(?:json5?)?\s*(?=\{)", re.IGNORECASE)
_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What a response says."""

    answer: str
    """The official answer: empty for "no answer"; the response itself where it is not valid."""
    valid: bool
    """Whether an answer that is not empty could be read."""


def read_answer(
    text: str, *, style: Style, no_answer: str, stops: Sequence[str] = ()
) -> ParsedAnswer:
    """The answer in a response.

    Args:
        text: what the decoder wrote, without special tokens.
        style: of the prompt.
        no_answer: the word that says that there is no answer.
        stops: where a plain answer ends, such as a new line; JSON ends by itself.
    """
    match style:
        case "plain":
            found = _up_to(text, stops).strip()
        case "chat-json":
            found = _json_answer(text)
        case _:
            assert_never(style)
    if not found.strip():
        return ParsedAnswer(well_formed(text).strip(), valid=False)
    return ParsedAnswer("" if found.strip() == no_answer else well_formed(found), valid=True)


def well_formed(text: str) -> str:
    """The text with unpaired surrogates replaced, which no file could hold; pairs are joined.

    A response of plain ASCII can contain one: {"answer": "\\ud800"}.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _up_to(text: str, stops: Sequence[str]) -> str:
    places = [text.find(stop) for stop in stops]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def _json_answer(text: str) -> str:
    """The value of "answer"; empty where there is none that is text or a number."""
    fence = _FENCED.search(text)
    start = fence.end() if fence else text.find("{")
    if start < 0:
        return ""
    match _first_object(text, start):
        case {"answer": str(answer)}:
            return answer
        case _:
            return ""


def _first_object(text: str, start: int) -> Any:
    """The object that begins at `start`, numbers as they are written; None if it is none."""
    try:
        return _JSON.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return _lenient_object(text[start : start + LENIENT_CHARACTERS])


def _lenient_object(text: str) -> Any:
    import json5

    try:
        value, _, _ = json5.parse(
            text,
            parse_int=_as_written,
            parse_float=_as_written,
            parse_constant=_as_written,
            strict=False,
            consume_trailing=False,
        )
    except (ValueError, RecursionError):
        return None
    return value


def _as_written(number: str, base: int = 10) -> str:  # noqa: ARG001 - json5 says 16 to 0x10
    return number
