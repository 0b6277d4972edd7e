"""Sentences say what was shown, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.statistics import Difference, holm, judge

WON = Difference(
    value=1.94,
    seeds=(3, 3),
    items=11873,
    clusters=1204,
    low=0.82,
    high=3.06,
    standard_error=0.5,
    degrees_of_freedom=10.0,
    p_value=0.003,
    detectable=1.61,
)


def sentence(difference: Difference) -> str:
    return judge([("full", "lora-r8", difference)], metric="F1")[0].sentence


def test_a_shown_difference() -> None:
    expected = "full is better than lora-r8 by 1.9 F1 [0.8, 3.1] (3 seeds, 1,204 paragraphs)"
    assert sentence(WON) == expected


def test_the_winner_comes_first() -> None:
    lost = replace(WON, value=-1.94, low=-3.06, high=-0.82)
    (verdict,) = judge([("lora-r8", "full", lost)], metric="F1")
    assert verdict.sentence == sentence(WON)
    assert verdict.outcome == "worse"


def test_what_cannot_be_told_apart() -> None:
    open_ = replace(WON, value=0.04, low=-0.9, high=1.7, p_value=0.6, detectable=1.83)
    assert sentence(open_) == (
        "not separable: full - lora-r8 = 0.0 F1 [-0.9, 1.7] (3 seeds, 1,204 paragraphs); "
        "this study can show differences above 1.8"
    )


def test_correction_can_undo_what_one_interval_shows() -> None:
    pairs = [("a", "b", replace(WON, p_value=0.03)), ("a", "c", replace(WON, p_value=0.04))]
    first, second = judge(pairs, metric="F1")
    assert (first.adjusted_p, second.adjusted_p) == (0.06, 0.06)
    assert first.outcome == second.outcome == "not separable"
    assert first.sentence.startswith("not separable after correction for 2 comparisons: a - b")


@pytest.mark.parametrize(
    ("seeds", "ending"),
    [
        ((1, 1), "one seed each: this is about these two trained models, not about the methods"),
        ((1, 3), "one seed of full: this is about that trained model, not about the method"),
        ((3, 1), "one seed of lora-r8: this is about that trained model, not about the method"),
    ],
)
def test_one_seed_limits_what_is_said(seeds: tuple[int, int], ending: str) -> None:
    assert sentence(replace(WON, seeds=seeds)).endswith(f"; {ending}")


def test_the_basis_is_counted() -> None:
    assert "(3 and 2 seeds, 1 paragraph)" in sentence(replace(WON, seeds=(3, 2), clusters=1))


def test_narrow_intervals_show_another_digit() -> None:
    narrow = replace(WON, value=0.031, low=0.012, high=0.05)
    assert "by 0.03 F1 [0.01, 0.05]" in sentence(narrow)


def test_no_interval_no_verdict() -> None:
    bare = Difference(-0.001, (1, 1), 5, 1, reason="all items belong to one paragraph")
    (verdict,) = judge([("full", "lora-r8", bare)], metric="EM")
    assert (verdict.outcome, verdict.adjusted_p) == ("no interval", None)
    assert verdict.sentence == (
        "no verdict: full - lora-r8 = 0.0 EM (1 seed, 1 paragraph), but all items belong to one "
        "paragraph; one seed each: this is about these two trained models, not about the methods"
    )


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_raises_but_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    assert [q for _, q in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)
