"""Sentences say what was shown, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.statistics import (
    Difference,
    McNemar,
    Schedule,
    holm,
    judge,
    judge_looks,
    mcnemar,
    paired_difference,
)

WON = Difference(
    value=1.94,
    seeds=(3, 3),
    items=11873,
    clusters=1204,
    standard_error=0.5,
    degrees_of_freedom=10.0,
    p_value=0.003,
).at(0.95)


def sentence(difference: Difference) -> str:
    return judge([("full", "lora-r8", difference)], metric="F1")[0].sentence


def test_a_shown_difference() -> None:
    expected = "full is better than lora-r8 by 1.9 F1 [0.8, 3.1] (3 seeds, 1,204 paragraphs)"
    assert sentence(WON) == expected


def test_the_winner_comes_first() -> None:
    lost = replace(WON, value=-1.94)
    (verdict,) = judge([("lora-r8", "full", lost)], metric="F1")
    assert verdict.sentence == sentence(WON)
    assert verdict.outcome == "worse"


def test_what_cannot_be_told_apart() -> None:
    open_ = replace(WON, value=0.04, p_value=0.9)
    assert sentence(open_) == (
        "not separable: full - lora-r8 = 0.0 F1 [-1.1, 1.2] (3 seeds, 1,204 paragraphs); "
        "this study can show differences above 1.6"
    )


def test_what_a_study_can_show_is_what_it_can_show_after_correction() -> None:
    open_ = replace(WON, value=0.04, p_value=0.9)
    alone = judge([("a", "b", open_)], metric="F1")[0]
    others = [("a", "c", open_), ("b", "c", open_)]
    among = judge([("a", "b", open_), *others], metric="F1")[0]
    assert alone.detectable is not None and among.detectable is not None
    assert alone.detectable == pytest.approx(open_.detectable)
    assert among.detectable > 1.2 * alone.detectable
    assert among.difference.low == alone.difference.low  # each interval by itself holds in 95 %


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
    narrow = replace(WON, value=0.031, standard_error=0.0085)
    assert "by 0.03 F1 [0.01, 0.05]" in sentence(narrow)


def test_yes_no_items_of_two_models_bring_mcnemar_s_test() -> None:
    a, b = np.zeros(60), np.zeros(60)
    a[:12], b[10:14] = 100, 100
    found = paired_difference(a, b, [str(i // 2) for i in range(60)])
    assert found.mcnemar is not None
    assert (found.mcnemar.first_only, found.mcnemar.second_only) == (10, 2)
    assert found.mcnemar.p_value == pytest.approx(2 * 79 / 2**12)  # 79: of at most 2 in 12
    assert found.p_value != found.mcnemar.p_value
    assert sentence(found).endswith(
        "; full alone is right on 10, lora-r8 alone on 2 (McNemar's exact test, as if questions "
        "were independent: p = 0.039)"
    )
    single = paired_difference(a, b, [str(i) for i in range(60)])
    assert single.p_value == found.mcnemar.p_value
    assert "(McNemar's exact test: p = 0.039)" in sentence(single)


def test_mcnemar_s_test_is_for_one_seed_and_yes_or_no() -> None:
    clusters = [str(i) for i in range(6)]
    right, partly = np.array([0.0, 1, 0, 1, 1, 0]), np.array([0.0, 0.5, 1, 1, 0, 0])
    assert paired_difference(right, partly, clusters).mcnemar is None
    assert paired_difference([right, right[::-1]], right, clusters).mcnemar is None
    assert mcnemar(right, right) == McNemar(0, 0, 1.0)


def test_a_study_of_several_looks_says_when_it_was_sure() -> None:
    looks = Schedule((0.4, 0.6, 0.8, 1.0))
    first, second = replace(WON, value=0.9, p_value=0.1), replace(WON, p_value=0.004)
    (open_,) = judge_looks([[("a", "b", first)]], schedule=looks, metric="F1")
    assert open_.sentence.endswith("; open after look 1 of at most 4 (level 0.026)")
    shown = [[("a", "b", first)], [("a", "b", second)], [("a", "b", first)]]
    (verdict,) = judge_looks(shown, schedule=looks, metric="F1")
    assert verdict.sentence == (
        "a is better than b by 1.9 F1 [0.5, 3.4] (3 seeds, 1,204 paragraphs); "
        "shown at look 2 of at most 4 (level 0.018)"
    )
    assert verdict.adjusted_p is None


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
