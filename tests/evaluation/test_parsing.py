"""What is read off responses, those of friendly models and those of hostile ones."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.evaluation.parsing import LENIENT_CHARACTERS, ParsedAnswer, Style, read_answer

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # unpaired surrogates too


def chat(text: str) -> ParsedAnswer:
    return read_answer(text, style="chat-json", no_answer="?")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": "Oslo"}', "Oslo"),
        ('```json\n{"answer": "Oslo"}\n```', "Oslo"),
        ('\n{"answer": "Oslo"}\n```', "Oslo"),  # the prompt ended with ```json
        ('Step {1} first.\n```json\n{"answer": "Oslo"}\n```\nDone {2}.', "Oslo"),
        ('Sure: {"why": {"depth": [1]}, "answer": "Oslo"} and so on }', "Oslo"),
        ('{"answer": "say \\"{Oslo}\\""}', 'say "{Oslo}"'),
        ('{"answer": "a\nb"}', "a\nb"),  # a new line that should have been escaped
        ("{'answer': 'Oslo'}", "Oslo"),
        ("{answer: 'it\\'s Oslo', // a comment\n}", "it's Oslo"),
        ('{"answer": 1905}', "1905"),
        ('{"answer": 3.50}', "3.50"),
        ("{answer: -3.50,}", "-3.50"),
        ('{"answer": "\\ud83d\\ude00"}', "\U0001f600"),
        ("{answer: '\\ud83d\\ude00'}", "\U0001f600"),
        ('{"answer": "?"}', ""),
        ('{"answer": " ? "}', ""),
    ],
)
def test_answers_that_can_be_read(text: str, answer: str) -> None:
    assert chat(text) == ParsedAnswer(answer, valid=True)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is Oslo.",
        '{"answer": "Oslo',  # cut off
        '{"reply": "Oslo"}',
        '{"answer": null}',
        '{"answer": true}',
        '{"answer": ["Oslo"]}',
        '{"answer": {"answer": "Oslo"}}',
        '["answer"]',
        '{"answer": ""}',  # not valid by the definition of the literal match
        "{",
    ],
)
def test_what_cannot_be_read_is_kept_as_it_stands(text: str) -> None:
    """As the answer it is wrong; as nothing it would pass for an abstention."""
    assert chat(f" {text}\n") == ParsedAnswer(text, valid=False)


def test_an_empty_response_is_not_valid() -> None:
    assert chat("  ") == ParsedAnswer("", valid=False)
    assert read_answer("", style="plain", no_answer="<unk>") == ParsedAnswer("", valid=False)


def test_a_plain_answer_ends_at_the_first_stop() -> None:
    def plain(text: str) -> ParsedAnswer:
        return read_answer(text, style="plain", no_answer="<unk>", stops=("\n", "###"))

    assert plain(" Oslo ### Question\nRome") == ParsedAnswer("Oslo", valid=True)
    assert plain("Oslo") == ParsedAnswer("Oslo", valid=True)
    assert plain("<unk>\nRome") == ParsedAnswer("", valid=True)
    assert plain("?") == ParsedAnswer("?", valid=True)
    assert plain("\nOslo").valid is False


@pytest.mark.parametrize(
    "text",
    ['{"answer": ' * 100_000, "[{" * 100_000, '{"a":' + "[" * 900, "{a:" + "[" * 900],
    ids=["objects", "both", "lists", "json5"],
)
def test_deep_nesting_is_no_answer(text: str) -> None:
    assert chat(text).valid is False


def test_megabytes_take_no_time() -> None:
    long = "x" * 4_000_000
    hostile = [
        "{" * 4_000_000,
        "`" * 4_000_000,
        "``` " * 1_000_000,
        "{" + " " * 4_000_000,
        '{"answer": "' + "\\" * 4_000_000,
        "{" + "a: 'b', " * 500_000,
        "{answer: '" + "\\'" * 2_000_000,
        '{"answer": ' + "1" * 4_000_000 + "x",
    ]
    began = time.process_time()
    assert chat(json.dumps({"answer": long})) == ParsedAnswer(long, valid=True)
    assert not any(chat(text).valid for text in hostile)
    assert time.process_time() - began < 10


def test_a_long_number_is_text() -> None:
    digits = "1" * 10_000  # int() refuses so many
    assert chat(f'{{"answer": {digits}}}') == ParsedAnswer(digits, valid=True)


def test_leniency_has_its_length() -> None:
    fits = "x" * (LENIENT_CHARACTERS - 20)
    assert chat(f"{{answer: '{fits}'}}").answer == fits
    assert chat(f"{{answer: '{fits}{fits}'}}").valid is False


def test_unpaired_surrogates_are_replaced() -> None:
    assert chat('{"answer": "a\\ud800b"}') == ParsedAnswer("a\ufffdb", valid=True)
    assert chat("{answer: 'a\\udc00b'}") == ParsedAnswer("a\ufffdb", valid=True)
    assert chat("a\ud800b") == ParsedAnswer("a\ufffdb", valid=False)
    assert read_answer("a\ud800b", style="plain", no_answer="?").answer == "a\ufffdb"


@given(ANY_TEXT, st.sampled_from(["plain", "chat-json"]))
def test_every_text_has_a_result_that_a_file_can_hold(text: str, style: Style) -> None:
    parsed = read_answer(text, style=style, no_answer="?")
    parsed.answer.encode()
    assert parsed.valid or parsed.answer == read_answer(text, style=style, no_answer="??").answer


@given(st.text().filter(lambda text: text.strip() not in ("", "?")), st.booleans())
def test_whatever_json_says_is_read_back(answer: str, ascii_only: bool) -> None:
    written = json.dumps({"answer": answer}, ensure_ascii=ascii_only)
    assert chat(f"```json\n{written}\n```") == ParsedAnswer(answer, valid=True)
