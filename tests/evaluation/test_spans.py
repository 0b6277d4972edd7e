"""Spans and thresholds, worked out by hand or against the slow and obvious way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.data import Answer, Example
from tunelab.evaluation.spans import WindowLogits, apply_threshold, best_spans, read_spans
from tunelab.evaluation.threshold import choose_threshold
from tunelab.metrics.squad import answer_f1
from tunelab.prompts.windows import Window
from tunelab.records import Prediction

CONTEXT = "ab cd ef gh"
OFFSETS = [(0, 2), (3, 5), (6, 8), (9, 11)]


def output(starts: list[float], ends: list[float], *, example: int = 0) -> WindowLogits:
    """[CLS] question [SEP] and then the context's four tokens."""
    window = Window(example, [0] * 7, [0] * 7, 3, OFFSETS, 0, (0, 0))
    return WindowLogits(window, np.array(starts, np.float32), np.array(ends, np.float32))


QUESTION = Example("q", "?", CONTEXT, (Answer("cd", 3),), "g", "a")


def test_the_best_span_runs_forwards_and_lies_in_the_context() -> None:
    # the highest start is behind the highest end, and the question scores above all
    spans = best_spans(
        output([0, 99, 0, 1, 2, 5, 0], [0, 99, 0, 4, 3, 1, 0]),
        CONTEXT,
        n_best=4,
        max_answer_tokens=4,
    )
    assert (spans[0].text, spans[0].start, spans[0].score) == ("ef", 6, 6.0)
    assert sorted(span.text for span in spans[1:4]) == ["ab", "cd", "ef gh"]  # of equal score


def test_long_spans_are_no_answers() -> None:
    spans = best_spans(
        output([0, 0, 0, 9, 0, 0, 0], [0, 0, 0, 0, 0, 0, 9]),
        CONTEXT,
        n_best=4,
        max_answer_tokens=3,
    )
    assert max(len(span.text.split()) for span in spans) == 3
    assert "ab cd ef gh" not in [span.text for span in spans]


@given(
    st.lists(st.integers(-9, 9), min_size=7, max_size=7, unique=True),
    st.lists(st.integers(-9, 9), min_size=7, max_size=7, unique=True),
)
def test_the_best_span_is_the_best_of_all(starts: list[int], ends: list[int]) -> None:
    found = best_spans(
        output([*map(float, starts)], [*map(float, ends)]), CONTEXT, n_best=4, max_answer_tokens=2
    )
    scores = [starts[s] + ends[e] for s in range(3, 7) for e in range(s, min(s + 2, 7))]
    assert found[0].score == max(scores)


def test_the_best_window_answers_and_the_lowest_null_counts() -> None:
    low = output([5, 0, 0, 1, 0, 0, 0], [5, 0, 0, 1, 0, 0, 0])
    high = output([2, 0, 0, 0, 4, 0, 0], [2, 0, 0, 0, 4, 0, 0])
    (row,) = read_spans([QUESTION], [low, high], n_best=4, max_answer_tokens=4)
    assert (row.output, row.span_score, row.null_score) == ("cd", 8.0, 4.0)
    assert row.gold == ("cd",)


def prediction(margin: float, output: str, *gold: str) -> Prediction:
    return Prediction(
        id="q",
        group="g",
        article="a",
        output=output,
        answer=output,
        gold=gold,
        span_score=0.0,
        null_score=margin,
    )


def test_answers_are_withheld_above_the_threshold() -> None:
    rows = apply_threshold([prediction(1.0, "x"), prediction(2.0, "y")], 1.0)
    assert [row.answer for row in rows] == ["x", ""]
    assert [row.answer for row in apply_threshold(rows, None)] == ["x", "y"]


def total_f1(rows: list[Prediction]) -> float:
    return sum(answer_f1(row.answer, row.gold) for row in rows)


@given(
    st.lists(
        st.tuples(
            st.integers(-5, 5), st.sampled_from(["x", "x y", "z"]), st.sampled_from(["x", ""])
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_threshold_is_better_than_the_chosen_one(items: list[tuple[int, str, str]]) -> None:
    rows = [prediction(m, output, *([gold] if gold else [])) for m, output, gold in items]
    best = max(total_f1(apply_threshold(rows, t / 2)) for t in range(-13, 14))
    assert total_f1(apply_threshold(rows, choose_threshold(rows))) == pytest.approx(best)


def test_of_equally_good_thresholds_the_one_nearest_to_zero_is_chosen() -> None:
    rows = [prediction(-4.0, "x", "x"), prediction(6.0, "x")]
    assert choose_threshold(rows) == 1.0
