"""Splits take whole articles and paragraphs, and hang on the text alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.data import Example, split_validation, take_limit
from tunelab.errors import DataError


def examples(sizes: list[list[int]]) -> list[Example]:
    """`sizes[a][p]` questions on paragraph p of article a."""
    return [
        Example(f"{a}-{p}-{q}", "Why?", f"text {a} {p}", (), f"group {a} {p}", f"article {a}")
        for a, paragraphs in enumerate(sizes)
        for p, questions in enumerate(paragraphs)
        for q in range(questions)
    ]


shapes = st.lists(
    st.lists(st.integers(1, 8), min_size=1, max_size=6), min_size=1, max_size=12
).filter(lambda sizes: sum(map(len, sizes)) > 1)


@given(shapes, st.integers(1, 60))
def test_a_limit_takes_whole_paragraphs_but_the_last(sizes: list[list[int]], limit: int) -> None:
    everything = examples(sizes)
    taken = take_limit(everything, limit)
    assert len(taken) == min(limit, len(everything))
    counts = {e.group: sum(o.group == e.group for o in everything) for e in everything}
    groups = list(dict.fromkeys(e.group for e in taken))
    for group in groups[:-1]:
        assert sum(e.group == group for e in taken) == counts[group]


@given(shapes, st.integers(1, 60), st.randoms(use_true_random=False))
def test_a_limit_does_not_hang_on_the_order_of_the_file(
    sizes: list[list[int]], limit: int, rng: random.Random
) -> None:
    everything = examples(sizes)
    paragraphs = [[e for e in everything if e.group == g] for g in {e.group for e in everything}]
    rng.shuffle(paragraphs)
    shuffled = [e for paragraph in paragraphs for e in paragraph]
    assert take_limit(shuffled, limit) == take_limit(everything, limit)


@given(shapes)
def test_a_smaller_limit_takes_a_prefix(sizes: list[list[int]]) -> None:
    everything = examples(sizes)
    assert take_limit(everything, 3) == take_limit(everything, None)[:3]


@given(shapes, st.floats(0.05, 0.4))
def test_validation_shares_no_paragraph_with_training(sizes: list[list[int]], share: float) -> None:
    everything = examples(sizes)
    try:
        split = split_validation(everything, share)
    except DataError:
        return  # one huge paragraph and next to nothing else
    assert len(split.train) + len(split.validation) == len(everything)
    assert not {e.group for e in split.train} & {e.group for e in split.validation}
    wanted = max(1, round(share * len(everything)))
    assert wanted / 2 <= len(split.validation) <= wanted * 2
    if "articles" in split.note:
        assert not {e.article for e in split.train} & {e.article for e in split.validation}


def test_the_articles_closest_to_the_share_are_held_out() -> None:
    split = split_validation(examples([[50], [30], [7], [6], [7]]), 0.13)
    assert {e.article for e in split.validation} <= {"article 2", "article 3", "article 4"}
    assert len(split.validation) == 13
    assert split.note == "validation: 13 of 100 training questions, 2 whole articles of 5"


def test_one_article_is_split_by_paragraphs_and_says_so() -> None:
    split = split_validation(examples([[5] * 20]), 0.1)
    assert len(split.validation) == 10
    assert split.note == "validation: 10 of 100 training questions, 2 whole paragraphs of 20"


def test_one_paragraph_cannot_be_split() -> None:
    with pytest.raises(DataError, match="cannot be held out"):
        split_validation(examples([[9]]), 0.1)


def test_no_validation_is_said() -> None:
    split = split_validation(examples([[3]]), 0)
    assert (len(split.train), split.validation) == (3, [])
    assert "no validation" in split.note
