"""Passages in a paragraph: whatever is marked, the text stays the text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.app.highlighting import Passage, find_passage, pieces

passages = st.lists(st.tuples(st.integers(-3, 30), st.integers(-3, 30)))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=25), passages, passages)
def test_pieces_are_the_text_and_carry_its_marks(
    text: str, said: list[tuple[int, int]], gold: list[tuple[int, int]]
) -> None:
    answered, wanted = [Passage(*each) for each in said], [Passage(*each) for each in gold]
    found = pieces(text, answered, wanted)
    assert "".join(piece.text for piece in found) == text
    at = 0
    for piece in found:
        for place in range(at, at + len(piece.text)):
            assert piece.said == any(each.start <= place < each.end for each in answered)
            assert piece.gold == any(each.start <= place < each.end for each in wanted)
        at += len(piece.text)


def test_a_passage_is_found_word_for_word_or_else_in_another_case() -> None:
    assert find_passage("Berg met berg.", "berg") == Passage(9, 13)
    assert find_passage("Anna Berg built it.", "anna berg") == Passage(0, 9)
    assert find_passage("Anna Berg built it.", "Otto") is None
    assert find_passage("Anna Berg built it.", "") is None
    assert find_passage("İ berg", "Berg") is None  # lower-casing moves the letters behind it
