"""From responses to predictions, with a model whose probabilities are a table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tunelab.data import Answer, Example
from tunelab.errors import DivergedError
from tunelab.evaluation.decoding import decode_answers
from tunelab.evaluation.parsing import Style
from tunelab.evaluation.scores import best_thresholds, squad_scores
from tunelab.evaluation.spans import apply_threshold
from tunelab.evaluation.threshold import choose_threshold
from tunelab.prompts.encoded import EncodedExample
from tunelab.records import Prediction

END = 0


@dataclass(frozen=True)
class Written:
    text: str
    finished: bool = True


@dataclass(frozen=True)
class Prompt:
    """Characters are tokens, and an answer is as likely as its length says, or as `told`."""

    style: Style = "plain"
    no_answer: str = "<unk>"
    stops: tuple[str, ...] = ("\n",)
    told: dict[str, float] = field(default_factory=dict)

    def text(self, example: Example) -> str:
        return f"{example.context}\n{example.question}\n"

    def encode(self, example: Example, answer: str) -> EncodedExample:
        prompt = [ord(c) for c in self.text(example)]
        target = [*(ord(c) for c in answer or self.no_answer), END]
        flags = [False] * len(prompt) + [True] * len(target)
        return EncodedExample((*prompt, *target), tuple(flags))

    def score(self, encoded: Sequence[EncodedExample]) -> tuple[list[float], list[int]]:
        counts = [sum(row.targets) for row in encoded]
        answers = [
            "".join(chr(i) for i, t in zip(row.ids, row.targets, strict=True) if t and i != END)
            for row in encoded
        ]
        sums = [
            self.told.get(answer, -0.5 * count)
            for answer, count in zip(answers, counts, strict=True)
        ]
        return sums, counts


def question(key: str, *gold: str) -> Example:
    return Example(key, "Where?", "Oslo is old.", tuple(Answer(g, 0) for g in gold), "p", "a")


def decode(examples: list[Example], texts: list[str], prompt: Prompt) -> list[Prediction]:
    written = [Written(text, finished=text != "cut") for text in texts]
    return decode_answers(examples, written, prompt=prompt, score=prompt.score)


def test_an_answer_and_its_scores() -> None:
    prompt = Prompt(told={"Oslo": -1.25, "<unk>": -3.5})
    (row,) = decode([question("q", "Oslo")], ["Oslo\n\n### Question"], prompt)
    assert (row.output, row.answer, row.gold) == ("Oslo", "Oslo", ("Oslo",))
    assert (row.span_score, row.null_score) == (-1.25, -3.5)
    assert row.decoded is not None
    assert row.decoded.response == "Oslo\n\n### Question"
    assert row.decoded.prompt == "Oslo is old.\nWhere?\n"
    assert (row.decoded.span_tokens, row.decoded.null_tokens) == (5, 6)  # the end counts
    assert row.decoded.valid and row.decoded.finished


def test_no_answer_unreadable_and_cut_off() -> None:
    examples = [question("q1"), question("q2", "Oslo"), question("q3", "Oslo")]
    said, unreadable, cut = decode(examples, ["<unk>", "\nOslo", "cut"], Prompt())
    assert (said.output, said.span_score) == ("", said.null_score)
    assert unreadable.span_score == -math.inf
    assert unreadable.decoded and not unreadable.decoded.valid
    assert cut.decoded and not cut.decoded.finished


def test_all_is_scored_in_one_call_with_paragraphs_together() -> None:
    asked: list[int] = []

    def score(rows: Sequence[EncodedExample]) -> tuple[list[float], list[int]]:
        asked.append(len(rows))
        return [-1.0] * len(rows), [2] * len(rows)

    examples = [question("q1"), question("q2", "x"), question("q3")]
    written = [Written("x"), Written("<unk>"), Written("")]
    decode_answers(examples, written, prompt=Prompt(), score=score)
    assert asked == [4]
    assert decode_answers([], [], prompt=Prompt(), score=score) == []


def test_a_model_of_no_numbers_is_told() -> None:
    with pytest.raises(DivergedError, match="log-probability nan"):
        decode([question("q")], ["x"], Prompt(told={"x": math.nan}))


def test_a_threshold_withholds_answers_and_never_finds_one() -> None:
    """The guess at q1 is less sure than the right answer to q2; q3 the decoder left unanswered."""
    prompt = Prompt(told={"Rome": -4.0, "Oslo": -1.0, "<unk>": -5.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3", "Oslo")]
    rows = decode(examples, ["Rome", "Oslo", "<unk>"], prompt)
    threshold = choose_threshold(rows)
    assert -4.0 < threshold < -1.0
    assert [row.answer for row in apply_threshold(rows, threshold)] == ["", "Oslo", ""]
    assert [row.answer for row in apply_threshold(rows, None)] == ["Rome", "Oslo", ""]
    assert [row.answer for row in apply_threshold(rows, 99.0)] == ["Rome", "Oslo", ""]
    assert best_thresholds(rows)["best_exact"] == pytest.approx(200 / 3)


def test_unreadable_responses_are_withheld_by_every_threshold_and_have_no_say() -> None:
    prompt = Prompt(style="chat-json", no_answer="?", told={"Oslo": -1.0, "?": -2.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3")]
    rows = decode(examples, ['{"answer": "Oslo"}', '{"answer": "Oslo"}', "I wonder."], prompt)
    assert math.isfinite(choose_threshold(rows))
    assert apply_threshold(rows, 1e9)[2].answer == ""
    assert choose_threshold(rows[2:]) == 0.0
    assert [row.answer for row in apply_threshold(rows, None)][2] == "I wonder."


def test_scores_tell_the_decoded_from_the_final_answers() -> None:
    prompt = Prompt(style="chat-json", no_answer="?", told={"oslo": -1.0, "Rome": -4.0, "?": -5.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3"), question("q4", "Oslo")]
    said = ['{"answer": "Rome"}', '{"answer": "oslo"}', '{"answer": "?"}', "It is Oslo."]
    rows = apply_threshold(decode(examples, said, prompt), -2.0)
    scores = squad_scores(rows, version="2.0")["squad_v2"]
    assert scores["exact"].value == 75.0  # q1 withheld, q4 too
    assert scores["decoded_exact"].value == 50.0
    assert "as decoded" in scores["decoded_exact"].convention
    assert scores["literal_valid"].value == 0.75
    assert scores["literal_exact"].value == 0.25  # oslo is not Oslo
    assert scores["literal_no_answer"].value == 0.5
    assert scores["literal_has_answer"].value == 0.0
    assert scores["literal_exact"].convention.startswith("literal")
    # q2 is right, q1 wrong; then, at their mean, q3 (none given) and q4 (F1 of 1/2, not readable)
    losses = [0, 1, 1.75, 2.5]
    area = sum(loss / (place + 1) for place, loss in enumerate(losses)) / 4
    assert scores["risk_coverage_area"].value == pytest.approx(area)


def test_hostile_text_survives_the_way_through_a_file() -> None:
    prompt = Prompt(style="chat-json", no_answer="?")
    hostile = ['{"answer": "\\ud800 \\u0000"}', "\ud800{", '{"answer":' * 1000]
    rows = decode([question(str(n)) for n in range(3)], hostile, prompt)
    again = [Prediction.model_validate_json(row.model_dump_json()) for row in rows]
    assert again == rows
    assert again[0].output == "\ufffd \x00"


def test_predictions_of_the_first_schema_are_still_read() -> None:
    old = {"id": "q", "group": "g", "article": "a", "output": "x", "answer": "", "gold": ["x"]}
    old |= {"span_score": 1.0, "null_score": 2.0, "n_best": []}
    row = Prediction.model_validate_json(json.dumps(old))
    assert row.decoded is None
    assert squad_scores([row], version="2.0")["squad_v2"]["literal_exact"].value == 0.0
