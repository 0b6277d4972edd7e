"""Rows within a budget: every example once, shared groups whole where they fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import PackedTree, build_tree, one_by_one, pack


def encoded(ids: list[int]) -> EncodedExample:
    return EncodedExample(tuple(ids), (False,) * (len(ids) - 1) + (len(ids) > 1,))


examples_ = st.lists(
    st.builds(encoded, st.lists(st.integers(0, 2), min_size=1, max_size=9)), max_size=12
)
budgets = st.integers(1, 30)


def rows_of(rows: list[PackedTree], examples: list[EncodedExample]) -> list[set[int]]:
    for row in rows:
        again = build_tree([examples[index] for index in row.examples])
        assert row.tree.tokens.tolist() == again.tokens.tolist()
        assert row.tree.leaves.tolist() == again.leaves.tolist()
    return [set(row.examples) for row in rows]


@given(examples_, budgets)
def test_every_example_is_in_one_row(examples: list[EncodedExample], budget: int) -> None:
    rows = pack(examples, tokens_per_pass=budget)
    members = [index for row in rows_of(rows, examples) for index in sorted(row)]
    assert sorted(members) == list(range(len(examples)))


@given(examples_, budgets)
def test_no_row_is_above_the_budget_but_for_its_longest_example(
    examples: list[EncodedExample], budget: int
) -> None:
    for row in pack(examples, tokens_per_pass=budget):
        longest = max(len(examples[index].ids) for index in row.examples)
        assert len(row.tree) <= max(budget, longest)


@given(examples_, budgets)
def test_no_two_rows_would_fit_into_one(examples: list[EncodedExample], budget: int) -> None:
    """Of those that share nothing: first-fit leaves no two rows that are half empty."""
    rows = pack(examples, tokens_per_pass=budget)
    if len({example.ids[0] for example in examples}) == len(examples):
        small = [row for row in rows if len(row.tree) <= budget // 2]
        assert len(small) <= 1


@given(examples_, budgets)
def test_the_largest_row_comes_first_and_the_order_is_fixed(
    examples: list[EncodedExample], budget: int
) -> None:
    rows = pack(examples, tokens_per_pass=budget)
    sizes = [len(row.tree) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert rows_of(pack(examples, tokens_per_pass=budget), examples) == rows_of(rows, examples)


@given(examples_)
def test_what_fits_shares_all_it_can(examples: list[EncodedExample]) -> None:
    rows = pack(examples, tokens_per_pass=1000)
    assert sum(len(row.tree) for row in rows) == len(
        {e.ids[:n] for e in examples for n in range(1, len(e.ids) + 1)}
    )


@given(examples_)
def test_one_by_one_shares_nothing(examples: list[EncodedExample]) -> None:
    rows = one_by_one(examples)
    assert sorted(index for row in rows for index in row.examples) == list(range(len(examples)))
    assert all(len(row.tree) == len(examples[row.examples[0]].ids) for row in rows)
    assert all(len(row.examples) == 1 for row in rows)


def test_a_paragraph_that_fits_is_never_cut() -> None:
    """Ten paragraphs under one instruction, which together do not fit."""
    examples = [
        encoded([1, 2, 3, 100 + paragraph, *range(10, 10 + paragraph), 500, question])
        for question in range(4)
        for paragraph in range(10)
    ]
    rows = rows_of(pack(examples, tokens_per_pass=45), examples)
    assert len(rows) > 1
    for paragraph in range(10):
        mine = {question * 10 + paragraph for question in range(4)}
        assert any(mine <= row for row in rows)


def test_five_hundred_questions_on_a_paragraph_are_spread_over_rows() -> None:
    paragraph = list(range(1000, 1300))
    examples = [encoded([*paragraph, 2000 + question, 7, 8, 9]) for question in range(500)]
    rows = pack(examples, tokens_per_pass=700)
    assert sorted(i for row in rows for i in row.examples) == list(range(500))
    assert {len(row.tree) for row in rows} == {700}
    assert [len(row.examples) for row in rows] == [100] * 5


def test_the_drawing_in_the_module() -> None:
    shared = [1, 2, 3, 4]
    branches = [[11, 12, 13], [21, 22], [31, 32, 33, 34], [41]]
    rows = pack([encoded([*shared, *branch]) for branch in branches], tokens_per_pass=10)
    assert [(row.examples, len(row.tree)) for row in rows] == [((1, 2), 10), ((0, 3), 8)]


def test_a_long_example_is_alone() -> None:
    examples = [encoded([1, 2, *range(10, 30)]), encoded([1, 2, 3]), encoded([1, 2, 4])]
    rows = pack(examples, tokens_per_pass=10)
    assert [row.examples for row in rows] == [(0,), (1, 2)]
