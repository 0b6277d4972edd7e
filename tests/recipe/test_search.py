"""The trials of a search: the same for every method, and what of them goes on."""

from __future__ import annotations

import pytest

from tunelab.errors import RecipeError
from tunelab.recipe import (
    Recipe,
    Rung,
    check_search,
    digest,
    expand,
    is_searched,
    rungs,
    trial,
    trials,
    validate,
    with_settings,
)
from tunelab.recipe.schema import Search

CASES = [
    {"tuning": {"kind": "full"}, "training": {"learning_rate": 3e-5}},
    {"tuning": {"kind": "lora", "rank": 4}},
]
OVER = {"training.learning_rate": [1e-5, 1e-4]}


def recipe(**settings: object) -> Recipe:
    return validate(settings, source="test")


def test_every_case_is_searched_with_the_same_trials() -> None:
    search = {
        "over": {"training.learning_rate": [1e-5, 1e-4, 1e-3], "training.batch_size": [8, 16]},
        "trials": 3,
        "train_limit": 80,
        "epochs": 1,
    }
    runs = expand(recipe(search=search, grid={"cases": CASES, "seed": [0, 1]}))
    tried = [trials(run) for run in runs]
    told = [[(t.training.learning_rate, t.training.batch_size) for t in of_run] for of_run in tried]
    assert told == [[(1e-5, 8), (1e-4, 8), (1e-3, 16)]] * 4
    assert all(
        (t.task.train_limit, t.training.epochs, t.evaluation.split, t.seed, t.search)
        == (80, 1, "validation", 0, None)
        for of_run in tried
        for t in of_run
    )
    # seeds of one case share their trials
    assert [digest(t) for t in tried[0]] == [digest(t) for t in tried[1]]


def test_searched_settings_end_the_search() -> None:
    search = {"over": {"training.learning_rate": [1e-5]}, "trials": 1}
    found = with_settings(recipe(search=search), {"training.learning_rate": 1e-5})
    assert found.training.learning_rate == 1e-5
    assert found.search is None


def test_halving_gives_each_rung_fewer_trials_and_more_questions() -> None:
    over = {"training.learning_rate": tuple(range(1, 10)), "training.warmup": (0.0, 0.1)}
    search = Search(over=over, trials=18, train_limit=900, halving=3)
    assert rungs(search) == [Rung(18, 100), Rung(6, 300), Rung(2, 900)]
    few = Search(over=over, trials=3, train_limit=900, halving=2)
    assert rungs(few) == [Rung(3, 900)]  # one of them could not decide
    # the same product of trials and questions on every rung: that is its idea
    assert len({rung.candidates * (rung.train_limit or 0) for rung in rungs(search)}) == 1


def test_a_trial_of_a_later_rung_differs_in_its_questions_alone() -> None:
    search = {"over": OVER, "trials": 2, "train_limit": 80, "epochs": 1, "halving": 2}
    [run] = expand(recipe(search=search, seed=3))
    chosen = {"training.learning_rate": 1e-4}
    small, large = (trial(run, chosen, Rung(2, limit)) for limit in (40, 80))
    assert (small.task.train_limit, large.task.train_limit) == (40, 80)
    assert small.model_copy(update={"task": large.task}) == large
    assert large.seed == 0


def test_what_trains_nothing_is_not_searched_for_settings_of_the_training() -> None:
    nothing = {"tuning": {"kind": "none"}}
    search = {"over": OVER, "trials": 2}
    assert not is_searched(recipe(search=search, **nothing))
    assert trials(recipe(search=search, **nothing)) == []
    shots = {"over": {"tuning.shots": [0, 5]}, "trials": 2}
    assert is_searched(recipe(search=shots, **nothing))


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"over": OVER}, r"not be fair. full: 2 trials of all questions and 2 epochs; head: "),
        (
            {"over": {"task.train_limit": [1, 2]}, "train_limit": 5, "epochs": 1},
            r"search.over lists task.train_limit, but search.train_limit=5 fixes it",
        ),
        ({"over": OVER, "epochs": 1, "halving": 2}, "search.halving needs search.train_limit"),
    ],
)
def test_a_search_that_is_not_fair_or_contradicts_itself_is_refused(
    search: dict[str, object], message: str
) -> None:
    cases = [{"tuning": {"kind": "full"}, "training": {"epochs": 2}}, {"tuning": {"kind": "head"}}]
    with pytest.raises(RecipeError, match=message):
        check_search(expand(recipe(search={"trials": 2, **search}, grid={"cases": cases})))


def test_a_search_over_an_axis_that_all_methods_share_is_fair() -> None:
    grid = {"tuning": [{"kind": "full"}, {"kind": "head"}], "training.epochs": [1, 3]}
    check_search(expand(recipe(search={"over": OVER, "trials": 2}, grid=grid)))


def test_what_is_searched_for_is_no_axis_too() -> None:
    both = {"cases": CASES, "training.learning_rate": [1e-5, 1e-4], "seed": [0, 1]}
    with pytest.raises(RecipeError, match=r"differ in nothing but training\.learning_rate"):
        check_search(expand(recipe(search={"over": OVER, "trials": 2}, grid=both)))
    ranks = {"over": {"tuning.rank": [2, 4]}, "trials": 2}
    lora = [{"tuning": {"kind": "lora", "rank": rank}} for rank in (8, 16)]
    with pytest.raises(RecipeError, match=r"nothing but tuning\.rank"):
        check_search(expand(recipe(search=ranks, grid={"cases": lora})))
    check_search(expand(recipe(search={"over": OVER, "trials": 2}, grid={"cases": CASES})))
