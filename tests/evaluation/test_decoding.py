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
from tunelab.records import Finish, Prediction

END = 0


@dataclass(frozen=True)
class Written:
    text: str
    finished: Finish = "stop"


@dataclass(frozen=True)
class Asked:
    """Characters are tokens, and an answer is as likely as its length says, or as `told`."""

    style: Style = "plain"
    no_answer: str = "<unk>"
    stop_texts: tuple[str, ...] = ("\n",)
    told: dict[str, float] = field(default_factory=dict)

    def answer_ids(self, example: Example, answer: str) -> EncodedExample:
        prompt = [ord(c) for c in example.question]
        target = [*(ord(c) for c in answer), END]
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


def decode(examples: list[Example], texts: list[str], asked: Asked) -> list[Prediction]:
    written = [Written(text, "length" if text == "cut" else "stop") for text in texts]
    prompts = [f"Asked: {example.question}" for example in examples]
    return decode_answers(
        examples, prompts, written, asking=asked, style=asked.style, score=asked.score
    )


def test_an_answer_and_its_scores() -> None:
    asked = Asked(told={"Oslo": -1.25, "<unk>": -3.5})
    (row,) = decode([question("q", "Oslo")], ["Oslo\n\n### Question"], asked)
    assert (row.output, row.answer, row.gold) == ("Oslo", "Oslo", ("Oslo",))
    assert (row.span_score, row.null_score) == (-1.25, -3.5)
    assert row.decoded is not None
    assert row.decoded.response == "Oslo\n\n### Question"
    assert row.decoded.prompt == "Asked: Where?"
    assert (row.decoded.span_tokens, row.decoded.null_tokens) == (5, 6)  # the end counts
    assert row.decoded.valid and row.decoded.finished == "stop"


def test_no_answer_unreadable_and_cut_off() -> None:
    examples = [question("q1"), question("q2", "Oslo"), question("q3", "Oslo")]
    said, unreadable, cut = decode(examples, ["<unk>", "\nOslo", "cut"], Asked())
    assert (said.output, said.span_score) == ("", said.null_score)
    assert unreadable.span_score == -math.inf
    assert unreadable.decoded and not unreadable.decoded.valid
    assert cut.decoded and cut.decoded.finished == "length"


def test_all_is_scored_in_one_call_with_alternatives_side_by_side() -> None:
    calls: list[list[str]] = []

    def score(rows: Sequence[EncodedExample]) -> tuple[list[float], list[int]]:
        calls.append(["".join(map(chr, row.ids[:-1])) for row in rows])
        return [-1.0] * len(rows), [2] * len(rows)

    examples = [question("q1"), question("q2", "x"), question("q3")]
    written = [Written("x"), Written("<unk>"), Written("")]
    decode_answers(examples, [""] * 3, written, asking=Asked(), style="plain", score=score)
    assert calls == [["Where?x", "Where?<unk>", "Where?<unk>", "Where?<unk>"]]
    assert decode_answers([], [], [], asking=Asked(), style="plain", score=score) == []


def test_a_model_of_no_numbers_is_told() -> None:
    with pytest.raises(DivergedError, match="log-probability nan"):
        decode([question("q")], ["x"], Asked(told={"x": math.nan}))


def test_a_threshold_withholds_answers_and_never_finds_one() -> None:
    """The guess at q1 is less sure than the right answer to q2; q3 the decoder left unanswered."""
    asked = Asked(told={"Rome": -4.0, "Oslo": -1.0, "<unk>": -5.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3", "Oslo")]
    rows = decode(examples, ["Rome", "Oslo", "<unk>"], asked)
    threshold = choose_threshold(rows)
    assert -4.0 < threshold < -1.0
    assert [row.answer for row in apply_threshold(rows, threshold)] == ["", "Oslo", ""]
    assert [row.answer for row in apply_threshold(rows, None)] == ["Rome", "Oslo", ""]
    assert [row.answer for row in apply_threshold(rows, 99.0)] == ["Rome", "Oslo", ""]
    assert best_thresholds(rows)["best_exact"] == pytest.approx(200 / 3)


def test_unreadable_responses_are_withheld_by_every_threshold_and_have_no_say() -> None:
    asked = Asked(style="chat-json", no_answer="?", told={"Oslo": -1.0, "?": -2.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3")]
    rows = decode(examples, ['{"answer": "Oslo"}', '{"answer": "Oslo"}', "I wonder."], asked)
    assert math.isfinite(choose_threshold(rows))
    assert apply_threshold(rows, 1e9)[2].answer == ""
    assert choose_threshold(rows[2:]) == 0.0
    assert [row.answer for row in apply_threshold(rows, None)][2] == "I wonder."


def test_scores_tell_the_decoded_from_the_final_answers() -> None:
    asked = Asked(style="chat-json", no_answer="?", told={"oslo": -1.0, "Rome": -4.0, "?": -5.0})
    examples = [question("q1"), question("q2", "Oslo"), question("q3"), question("q4", "Oslo")]
    said = ['{"answer": "Rome"}', '{"answer": "oslo"}', '{"answer": "?"}', "It is Oslo."]
    rows = apply_threshold(decode(examples, said, asked), -2.0)
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
    asked = Asked(style="chat-json", no_answer="?")
    hostile = ['{"answer": "\\ud800 \\u0000"}', "\ud800{", '{"answer":' * 1000]
    rows = decode([question(str(n)) for n in range(3)], hostile, asked)
    again = [Prediction.model_validate_json(row.model_dump_json()) for row in rows]
    assert again == rows
    assert again[0].output == "\ufffd \x00"


def test_predictions_of_the_first_schema_are_still_read() -> None:
    old = {"id": "q", "group": "g", "article": "a", "output": "x", "answer": "", "gold": ["x"]}
    old |= {"span_score": 1.0, "null_score": 2.0, "n_best": []}
    row = Prediction.model_validate_json(json.dumps(old))
    assert row.decoded is None
    assert squad_scores([row], version="2.0")["squad_v2"]["literal_exact"].value == 0.0
