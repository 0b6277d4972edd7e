"""Rows of a step, dealt to processes: nothing is lost, nothing is there twice, nobody is idle."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.packing import PackedTree, pack
from tunelab.training.dealing import deal, deal_rows


def example(*ids: int) -> EncodedExample:
    return EncodedExample(ids, (False,) * (len(ids) - 1) + (True,))


def paragraph(number: int, questions: int) -> list[EncodedExample]:
    """A prompt of two tokens, a paragraph of twenty, and questions of three."""
    shared = (1, 2, *range(100 * number, 100 * number + 20))
    return [example(*shared, 50, 60 + question, 3) for question in range(questions)]


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 5))
def test_everything_is_dealt_once_and_evenly(sizes: list[int], processes: int) -> None:
    dealt = deal(sizes, processes)
    assert sorted(index for indices in dealt for index in indices) == list(range(len(sizes)))
    loads = [sum(sizes[index] for index in indices) for indices in dealt]
    assert max(loads) - min(loads) <= max(sizes, default=0)


def test_one_process_has_the_rows_that_it_always_had() -> None:
    examples = [*paragraph(2, 3), *paragraph(3, 4)]
    [rows] = deal_rows(examples, 1, tokens_per_pass=60)
    wanted = pack(examples, tokens_per_pass=60)
    assert [row.examples for row in rows] == [row.examples for row in wanted]


@pytest.mark.parametrize("budget", [30, 60, 4096])
def test_paragraphs_stay_whole_and_nobody_is_idle(budget: int) -> None:
    examples = [*paragraph(2, 4), *paragraph(3, 4)]
    dealt = deal_rows(examples, 2, tokens_per_pass=budget)
    assert all(dealt)
    assert dealt_examples(dealt) == list(range(8))
    if budget > 30:  # else no row has room for a paragraph
        assert [{index // 4 for row in rows for index in row.examples} for rows in dealt] in (
            [{0}, {1}],
            [{1}, {0}],
        )


def test_a_single_paragraph_is_cut_rather_than_read_by_one() -> None:
    examples = paragraph(2, 40)
    dealt = deal_rows(examples, 2, tokens_per_pass=4096)
    assert dealt_examples(dealt) == list(range(40))
    busiest = max(sum(len(row.tree) for row in rows) for rows in dealt)
    [whole] = pack(examples, tokens_per_pass=4096)
    assert busiest < 0.7 * len(whole.tree)


def dealt_examples(dealt: Sequence[Sequence[PackedTree]]) -> list[int]:
    return sorted(index for rows in dealt for row in rows for index in row.examples)
