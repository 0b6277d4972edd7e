"""What a constrained answer may be, written as grammars for `llguidance`.

    json    ```json\\n{"answer": "  any JSON string  "}\\n```
    span    ```json\\n{"answer": "  a passage of the context, or the no-answer word  "}\\n```
    span    a passage of the context, or the no-answer word                  (plain style)

A passage begins and ends where words, numbers or punctuation marks do, and never with white space;
so it is never empty. Of the 20,302 gold answers of SQuAD 2.0's development set 27 are not of this
kind: they cut a word in two. Inside JSON a passage stands as `json.dumps` writes it, so that a
quotation mark or a line break of the context arrives as it was. In front of all of it there may be
free text, up to the first line of the opening.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_WIDE_SPACES = r"\x7f-\xa0\u1680\u2000-\u200b\u2028-\u202f\u205f\u3000"
_WHATEVER = r"/(?s:.*)/"


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How answers are written: opening, answer, ending."""

    opening: str
    ending: str
    json: bool
    """Whether the answer stands between the quotation marks of a JSON string."""
    no_answer: str
    """Said of an unanswerable question."""

    @property
    def mark(self) -> str:
        """What tells free text that the answer begins: the first line of the opening."""
        return self.opening.strip().partition("\n")[0]

    def written(self, text: str) -> str:
        """A text as it stands in the answer's place."""
        return json.dumps(text, ensure_ascii=False)[1:-1] if self.json else text


def json_grammar(form: AnswerForm, *, reasoning: bool) -> str:
    """Any JSON string as the answer that is more than white space: an empty one says nothing.

    Half surrogate pairs are refused, whole ones are not.
    """
    unit = r"[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    pair = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    character = rf'/[^"\\\x00-\x1f]|\\(["\\\/bfnrt]|u({unit}|{pair}))/'
    first = rf'/[^"\\\x00-\x20{_WIDE_SPACES}]|\\["\\\/]/'
    terminals = [f"FIRST: {first}", f"CHARACTER: {character}"]
    return _around(form, "FIRST CHARACTER*", terminals, reasoning=reasoning)


def span_grammar(form: AnswerForm, context: str, *, reasoning: bool) -> str:
    """A passage of the context or the no-answer word."""
    word = json.dumps(form.written(form.no_answer))
    if not context.strip():
        return _around(form, word, [], reasoning=reasoning)
    pieces = [form.written(piece) for piece in split_words(context)]
    if form.json:  # characters and escapes, as json.dumps writes them
        any_one = r'([^\\]|\\["\\bfnrt]|\\u[0-9a-f]{4})'
        no_space = r'([^\\\s\x1c-\x1f]|\\["\\b]|\\u00(0[0-7ef]|1[0-9ab]))'
    else:
        any_one = r"(?s:.)"
        no_space = r"[^\s\x1c-\x1f]"
    rules = [
        f"PASSAGE: PIECES & /{no_space}({any_one}*{no_space})?/",
        f"PIECES: %regex {json.dumps({'substring_chunks': pieces})}",
    ]
    return _around(form, f"(PASSAGE | {word})", rules, reasoning=reasoning)


def split_words(text: str) -> Iterator[str]:
    """The words, stretches of white space and single other characters that make up a text."""
    piece, kind = "", ""
    for character in text:
        if character.isspace():
            now = "space"
        elif character.isalnum() or unicodedata.category(character)[0] == "M":
            now = "word"
        else:
            now = ""
        if piece and (not now or now != kind):
            yield piece
            piece = ""
        piece, kind = piece + character, now
    if piece:
        yield piece


def _around(form: AnswerForm, answer: str, rules: list[str], *, reasoning: bool) -> str:
    """The grammar of a whole response, given that of the answer."""
    if reasoning:
        rest = form.opening.partition(form.mark)[2]
        head = [
            "start: free RESPONSE",
            f"free[lazy]: {_WHATEVER} {json.dumps(form.mark)}",
        ]
    else:
        rest = form.opening
        head = ["start: RESPONSE"]
    parts = [json.dumps(text) if text else "" for text in (rest, form.ending)]
    return "\n".join([*head, f"RESPONSE: {parts[0]} {answer} {parts[1]}", *rules])
