"""What an epoch of a mixture draws: the weights, evenly, the same for a seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tunelab.data import part_shares
from tunelab.errors import RecipeError
from tunelab.recipe import ChatTask, MixtureTask, TextQaTask, expand, part_names, validate
from tunelab.training.mixture import counts_of, mixed_order
from tunelab.training.objective import Mix

CHAT = ChatTask(kind="chat", test=("a.jsonl",))
QA = TextQaTask(kind="text-qa", test=("b.jsonl",))


def mixture(*weights: float, examples: int | None = None) -> MixtureTask:
    return MixtureTask(kind="mixture", parts=(CHAT, QA), weights=weights, examples=examples)


def test_shares_of_an_epoch() -> None:
    there = ["chat"] * 30 + ["text-qa"] * 10
    assert counts_of(mixture(), there) == {"chat": 20, "text-qa": 20}
    assert counts_of(mixture(3, 1), there) == {"chat": 30, "text-qa": 10}
    assert counts_of(mixture(1, 0), there) == {"chat": 30}
    assert counts_of(mixture(2, 1, examples=100), there) == {"chat": 67, "text-qa": 33}


def test_all_examples_of_a_part_are_drawn_before_one_comes_again() -> None:
    groups = [f"g{number // 2}" for number in range(10)]
    mix = Mix(("chat",) * 7 + ("text-qa",) * 3, {"chat": 4, "text-qa": 4})
    drawn = Counter[int]()
    for epoch in range(7):
        order = mixed_order(groups, mix, 1, seed=0, epoch=epoch)
        parts = Counter(mix.parts[example] for example in order)
        assert parts == {"chat": 4, "text-qa": 4}
        drawn.update(order)
    assert {drawn[example] for example in range(7)} == {4}  # 28 draws of 7
    assert {drawn[example] for example in range(7, 10)} <= {9, 10}  # 28 draws of 3
    again = mixed_order(groups, mix, 1, seed=0, epoch=3)
    assert again == mixed_order(groups, mix, 1, seed=0, epoch=3)
    assert again != mixed_order(groups, mix, 1, seed=1, epoch=3)
    assert again != mixed_order(groups, mix, 1, seed=0, epoch=2)


def test_what_shares_a_prefix_stays_together() -> None:
    groups = [f"g{number // 4}" for number in range(24)]
    mix = Mix(("chat",) * 12 + ("text-qa",) * 12, {"chat": 12, "text-qa": 12})
    order = mixed_order(groups, mix, "all", seed=0, epoch=0)
    runs = [groups[example] for example in order]
    assert sum(one != other for one, other in pairwise(runs)) == 5


def test_a_list_of_tasks_with_weights_is_a_mixture_and_weights_are_an_axis() -> None:
    parts = [CHAT.model_dump() | {"weight": 3}, CHAT.model_dump(), QA.model_dump()]
    recipe = validate({"task": parts, "grid": {"task.weights": [[1, 0, 0], [1, 1, 1]]}}, source="t")
    assert isinstance(recipe.task, MixtureTask)
    assert recipe.task.weights == (3, 1, 1)
    assert part_names(recipe.task) == ("chat", "chat-2", "text-qa")
    first, second = (run.task for run in expand(recipe))
    assert isinstance(first, MixtureTask)
    assert isinstance(second, MixtureTask)
    assert part_shares(first) == {"chat": 1, "chat-2": 0, "text-qa": 0}
    assert part_shares(second) == pytest.approx(dict.fromkeys(part_names(second), 1 / 3))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weights": [1]}, "2 parts and 1 weights"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [-1, 1]}, "greater than or equal to 0"),
        ({"parts": [{"kind": "chat", "test": "a", "tets": "b"}] * 2}, "task.parts.0.tets"),
        ({"parts": [{"kind": "chat"}] * 2}, "'task.parts.0.test' is missing"),
        ({"parts": [{"kind": "mixture", "parts": []}] * 2}, "is 'mixture', which is no kind"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], told: str) -> None:
    task = mixture().model_dump(mode="json") | change
    with pytest.raises(RecipeError) as caught:
        validate({"task": task}, source="t")
    assert told in caught.value.problem
