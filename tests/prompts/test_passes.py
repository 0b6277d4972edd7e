"""Passes hold every window once, with little padding."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tunelab.prompts.passes import cut_passes, pad_pass
from tunelab.prompts.windows import Window


def window(length: int) -> Window:
    return Window(
        example=0,
        input_ids=list(range(1, length + 1)),
        token_type_ids=[0] * (length - 1) + [1],
        context_start=1,
        offsets=[(i, i + 1) for i in range(length - 1)],
        null_position=0,
        target=(1, min(2, length - 1)),
    )


@given(st.lists(st.integers(2, 90), min_size=1, max_size=40), st.integers(1, 300))
def test_every_window_is_in_one_pass_within_the_budget(lengths: list[int], budget: int) -> None:
    passes = cut_passes([window(length) for length in lengths], tokens_per_pass=budget)
    assert sorted(len(w.input_ids) for members in passes for w in members) == sorted(lengths)
    for members in passes:
        padded = len(members) * max(len(w.input_ids) for w in members)
        assert padded <= budget or len(members) == 1


def test_the_longest_windows_come_first() -> None:
    passes = cut_passes([window(n) for n in (5, 40, 9, 38)], tokens_per_pass=80)
    assert [[len(w.input_ids) for w in members] for members in passes] == [[40, 38], [9, 5]]


def test_padding_is_masked() -> None:
    rows = pad_pass([window(3), window(5)], pad_id=99, device=torch.device("cpu"))
    assert rows.input_ids.tolist() == [[1, 2, 3, 99, 99], [1, 2, 3, 4, 5]]
    assert rows.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert rows.token_type_ids.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    assert rows.targets.tolist() == [[1, 2], [1, 2]]
    assert rows.tokens == 8
