"""The text that `tiny` is pretrained on: right, reproducible, without what `reading` holds out."""

from __future__ import annotations

import re
from itertools import pairwise

from pretraining.curriculum import LEVELS
from pretraining.naming import reading_names
from pretraining.scenes import small_scene
from pretraining.sheet import MOST_QUESTIONS, write_sheet
from pretraining.story import Story, tell
from pretraining.wording import held_out_wordings, plain, relations

from tunelab.data.reading import Split, generate
from tunelab.data.reading.draw import Draw

_STORIES = 300


def words_of(text: str) -> set[str]:
    """Single words, and pairs of neighbours."""
    words = re.findall(r"\w+", text)
    return {*words, *(" ".join(pair) for pair in pairwise(words))}


def test_answers_stand_in_the_paragraph_and_untold_ones_are_empty() -> None:
    answered = 0
    for number in range(_STORIES):
        story = tell(Draw(f"a {number}"), facts=1 + number % 10, coined=0.3, untold=0.2)
        for question in story.questions:
            beginning = question.answer[:1].upper() + question.answer[1:]
            assert question.answer in story.text or beginning in story.text
            answered += bool(question.answer)
    assert answered > _STORIES


def test_a_story_is_fixed_by_its_seed_and_has_as_many_facts_as_asked_for() -> None:
    def told(seed: str, facts: int) -> set[str]:
        story = tell(Draw(seed), facts=facts, coined=0.3, untold=0.0)
        assert story == tell(Draw(seed), facts=facts, coined=0.3, untold=0.0)
        return {q.answer for q in story.questions}

    assert told("b", 6) != told("c", 6)
    for facts in (1, 4, 12):
        assert sum(len(told(f"d {n}", facts)) for n in range(20)) >= 18 * facts


def test_no_name_of_reading_occurs() -> None:
    for number in range(_STORIES):
        told = tell(Draw(f"e {number}"), facts=8, coined=0.4, untold=0.1).text
        assert words_of(told).isdisjoint(reading_names(new=False) | reading_names(new=True))


def test_no_question_of_reading_and_no_held_out_statement_can_be_made() -> None:
    unwanted = held_out_wordings()
    assert plain("Who designed {E}?") in unwanted, "reading asks this, so the check has an object"
    for relation in relations():
        assert unwanted.isdisjoint(map(plain, (*relation.asks, *relation.phrases, *relation.says)))


def test_a_small_scene_has_its_size_and_its_answers_stand_in_it() -> None:
    for level, size in enumerate(LEVELS):
        told = 0
        for number in range(20):
            story = small_scene(Draw(f"h {level} {number}"), size, most=MOST_QUESTIONS)
            answers = {question.answer for question in story.questions}
            assert all(answer in story.text for answer in answers)
            assert "" not in answers or size is None, "only whole paragraphs leave questions open"
            told += len(answers)
        assert told >= 20


def test_no_paragraph_and_no_held_out_name_of_reading_is_among_the_sheets() -> None:
    splits: tuple[Split, ...] = ("train", "test", "new-entities", "new-wordings")
    documents = [generate(split, questions=400) for split in splits]
    paragraphs = {p["context"] for d in documents for a in d["data"] for p in a["paragraphs"]}
    held_out = reading_names(new=True)
    assert any(words_of(paragraph) & held_out for paragraph in paragraphs), "there are such names"
    for number in range(_STORIES):
        story = small_scene(Draw(f"f {number}"), None, most=MOST_QUESTIONS)
        assert story.text not in paragraphs
        assert words_of(story.text).isdisjoint(held_out)
        assert all(words_of(question.text).isdisjoint(held_out) for question in story.questions)


def test_an_answer_never_begins_a_line() -> None:
    """So that the base does not answer behind a heading before it is tuned to."""
    for number in range(_STORIES):
        draw = Draw(f"g {number}")
        stories: list[Story] = [
            tell(draw, facts=5, coined=0.3, untold=0.1),
            small_scene(draw, None, most=MOST_QUESTIONS),
        ]
        for sheet in (write_sheet(draw, story) for story in stories):
            assert 0 < len(sheet.branches) <= MOST_QUESTIONS
            for branch in sheet.branches:
                assert not branch.prompt.rstrip(" ").endswith("\n")
                assert "###" not in sheet.beginning + branch.prompt
