"""Order of the data and learning rate are functions of the recipe alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tunelab.recipe import Training
from tunelab.training.objective import Together
from tunelab.training.schedule import epoch_order, rate_factor, step_examples, steps_per_epoch


def test_every_epoch_sees_every_example_once_in_its_own_order() -> None:
    orders = [epoch_order(["one paragraph"] * 50, seed=3, epoch=epoch) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1]
    assert orders[0] == epoch_order(["one paragraph"] * 50, seed=3, epoch=0)
    assert orders[0] != epoch_order(["one paragraph"] * 50, seed=4, epoch=0)


@pytest.mark.parametrize("together", [1, 2, 4, "all"])
def test_questions_of_a_paragraph_stay_together(together: Together) -> None:
    groups = [f"paragraph {number}" for number in range(6) for _ in range(7)]
    order = epoch_order(groups, together, seed=0, epoch=0)
    assert sorted(order) == list(range(42))
    neighbours = sum(groups[a] == groups[b] for a, b in pairwise(order))
    size = 7 if together == "all" else together
    runs_in_a_paragraph = -(-7 // size)
    assert neighbours >= 6 * (7 - runs_in_a_paragraph)
    assert order != epoch_order(groups, together, seed=1, epoch=0)


def test_the_steps_of_an_epoch_part_it() -> None:
    order = epoch_order(["one paragraph"] * 50, seed=0, epoch=0)
    steps = [step_examples(order, step, 16) for step in range(steps_per_epoch(50, 16))]
    assert [len(step) for step in steps] == [16, 16, 16, 2]
    assert [example for step in steps for example in step] == order


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Training(schedule="constant", warmup=0), [1, 1, 1, 1]),
        (Training(schedule="constant", warmup=2), [0.5, 1, 1, 1]),
        (Training(schedule="linear", warmup=0), [1, 0.75, 0.5, 0.25]),
        (Training(schedule="linear", warmup=0.5), [0.5, 1, 1, 0.5]),
        (Training(schedule="cosine", warmup=0), [1, 0.8535533905932737, 0.5, 0.1464466094067262]),
    ],
)
def test_rates_rise_over_the_warm_up_and_fall_as_asked(
    settings: Training, expected: list[float]
) -> None:
    assert [rate_factor(step, 4, settings) for step in range(4)] == pytest.approx(expected)
