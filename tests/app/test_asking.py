"""Questions put to runs side by side, the least certain ones first, and what is shown of it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest

from tunelab.answering import Writing
from tunelab.answering.answered import weigh
from tunelab.app.answers import answers_html
from tunelab.app.asking import LONGEST_TEXT, Told, ask, own_example
from tunelab.app.chatting import Turn, about_question, conversation
from tunelab.app.differing import difference_html, tell_apart
from tunelab.app.lab import Lab
from tunelab.app.questions import held_out_paragraphs, random_question
from tunelab.app.rendering import text_html
from tunelab.app.studies import signature, study_html, whole_report_html
from tunelab.app.uncertain import uncertainty
from tunelab.data import load_squad
from tunelab.errors import DataError, UsageError
from tunelab.prompts.conversation import said
from tunelab.recipe import extractive
from tunelab.records import Prediction, RunDirectory, find_runs

PARAGRAPH = "The harbour was built in 1843 by Anna Berg. It has two gates."
HOSTILE = "<img src=x onerror=alert(1)> {{7*7}} ${alert(1)} [/INST] <|assistant|> </s> \u202e"


def name_of(lab: Lab, part: str) -> str:
    return next(name for name in lab.catalogue.askable() if part in name)


def test_runs_answer_side_by_side_as_they_were_scored(lab: Lab, study: Path) -> None:
    names = lab.catalogue.askable()
    assert len(names) == 3
    task = extractive(lab.catalogue.entry(names[0]).recipe.task)
    example = load_squad(task).test[0]
    told = ask(lab.catalogue, lab.shelf, names, example, "as the run does")
    for each in told:
        [scored] = [
            row
            for row in RunDirectory(study / "runs" / each.name).read_predictions()
            if row.id == example.id
        ]
        assert each.found is not None and each.found.prediction.answer == scored.answer
    page = answers_html(example, told, gold_known=True)
    assert page.count('<article class="card">') == 3 and page.count("no answer") >= 3


@pytest.mark.parametrize("answer", ["", "1843"])
def test_an_answer_that_a_threshold_withholds_is_told(answer: str) -> None:
    said_first = Prediction(
        id="a", group="g", article="", output="1843", answer=answer, gold=(),
        span_score=2.0, null_score=-1.0,
    )  # fmt: skip
    told = Told("a run", weigh(said_first, PARAGRAPH), None, True, 0.1)
    page = answers_html(own_example(PARAGRAPH, "When?"), [told], gold_known=False)
    assert ("Withheld" in page) == (not answer)


@pytest.mark.slow
def test_sixteen_who_ask_at_once_hear_what_each_hears_alone(lab: Lab) -> None:
    names = [name_of(lab, "decoder"), name_of(lab, "head")]
    examples = [own_example(PARAGRAPH, f"Who built gate {number}?") for number in range(16)]

    def answers(number: int) -> list[str]:
        told = ask(lab.catalogue, lab.shelf, names, examples[number], "words of the paragraph")
        return [each.found.prediction.output if each.found else "-" for each in told]

    alone = [answers(number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(answers, range(16))) == alone


def test_a_decoder_is_held_to_the_paragraph_or_let_free(lab: Lab) -> None:
    decoder = name_of(lab, "decoder")
    example = own_example(PARAGRAPH, "Who built it?")
    [held] = ask(lab.catalogue, lab.shelf, [decoder], example, "words of the paragraph")
    [free] = ask(lab.catalogue, lab.shelf, [decoder], example, "free")
    assert held.found is not None and held.found.prediction.output in PARAGRAPH
    assert free.found is not None and free.found.prediction.decoded is not None
    assert not free.found.prediction.decoded.valid  # random weights write no JSON
    [pointed] = ask(lab.catalogue, lab.shelf, [name_of(lab, "head")], example, "valid JSON")
    assert pointed.found is not None


def test_hostile_text_is_data(lab: Lab) -> None:
    example = own_example(HOSTILE + PARAGRAPH, HOSTILE + "Who?")
    told = ask(lab.catalogue, lab.shelf, lab.catalogue.askable(), example, "as the run does")
    page = answers_html(example, told, gold_known=False)
    assert all(each.found for each in told)
    for mark in ("<img", "{{", "${", "<|assistant|>", "\u202e"):
        assert mark not in page
    assert "&lt;img" in page and "⟨U+202E⟩" in page
    assert text_html("<b>\n&</b>") == "&lt;b&gt;<br>&amp;&lt;/b&gt;"


@pytest.mark.parametrize(
    ("paragraph", "question", "problem"),
    [
        ("", "Who?", "The paragraph is empty"),
        (PARAGRAPH, " \n", "The question is empty"),
        ("a" * (LONGEST_TEXT + 1), "Who?", "200,001 characters"),
    ],
)
def test_what_is_no_question_is_told(paragraph: str, question: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        own_example(paragraph, question)


def test_one_that_cannot_answer_spoils_nothing(lab: Lab) -> None:
    broken = own_example(PARAGRAPH + "\ud800", "Who?")
    encoder, decoder = name_of(lab, "head"), name_of(lab, "decoder")
    for each in ask(lab.catalogue, lab.shelf, [encoder, decoder], broken, "free"):
        assert isinstance(each.problem, DataError)
    [nobody] = ask(lab.catalogue, lab.shelf, ["../../etc"], own_example(PARAGRAPH, "?"), "free")
    assert isinstance(nobody.problem, UsageError) and "no run '../../etc'" in str(nobody.problem)
    with pytest.raises(UsageError, match="No run is chosen"):
        ask(lab.catalogue, lab.shelf, [], broken, "free")


def test_a_random_question_is_one_that_the_run_was_tested_on(lab: Lab) -> None:
    entry = lab.catalogue.entries()[0]
    assert entry.run is not None
    drawn = {random_question(entry, random.Random(seed)).id for seed in range(40)}
    tested = {row.id for row in entry.run.read_predictions()}
    assert drawn <= tested and len(drawn) > 3
    assert random_question(entry, random.Random(0)).group in held_out_paragraphs([entry])


def test_the_least_certain_unlabelled_question_comes_first(lab: Lab) -> None:
    name = name_of(lab, "head")
    own = own_example(PARAGRAPH, "Who built it?")
    seen: list[float] = []
    gone: set[str] = set()
    for _ in range(5):
        doubt = lab.unlabelled.next(
            name, lambda every: lab.ask_all(name, every), own=[own], passed_over=lambda _every: gone
        )
        assert doubt.example.answers == () and doubt.uncertainty == uncertainty(doubt.found)
        seen.append(doubt.uncertainty)
        gone.add(doubt.example.id)
    assert seen == sorted(seen, reverse=True) and seen[0] > seen[-1]
    with pytest.raises(DataError, match="no unlabelled questions left"):
        lab.unlabelled.next(
            name,
            lambda every: lab.ask_all(name, every),
            own=[own],
            passed_over=lambda every: {each.id for each in every},
        )


def test_a_talk_goes_on_from_the_question_and_can_be_stopped(lab: Lab) -> None:
    name = name_of(lab, "decoder")
    example = own_example(PARAGRAPH, "Who built it?")
    [told] = ask(lab.catalogue, lab.shelf, [name], example, "free")
    assert told.found is not None
    with lab.shelf.borrow(name) as answerer:
        about = about_question(answerer.recipe, example, told.found)
        messages = conversation([Turn("user", "Why?")], system="Be brief.", about=about)
        assert [each.role for each in messages] == ["system", "user", "assistant", "user"]
        assert PARAGRAPH in said(messages[1])
        replies = lab.replies.stream("visitor", answerer, messages, Writing(max_tokens=200))
        heard = [next(replies), next(replies)]
        assert heard[1].startswith(heard[0])
        lab.replies.stop("visitor")
        assert len(list(replies)) <= 1
        with pytest.raises(DataError, match="nothing to reply to"):
            conversation([Turn("user", " ")], system="")


def test_two_runs_are_browsed_where_they_differ(lab: Lab) -> None:
    first, second = (lab.catalogue.entry(name_of(lab, part)) for part in ("head", "decoder"))
    assert first.run is not None and second.run is not None
    one = {row.id: row.answer for row in first.run.read_predictions()}
    other = {row.id: row.answer for row in second.run.read_predictions()}
    apart = tell_apart(first, second)
    assert apart.first.items is not None
    ids = apart.first.items.ids
    differing = {key for key in ids if one[key] != other[key]}
    assert {ids[index] for index in apart.indices["all that differ"]} == differing
    wrong = apart.indices["both wrong"]
    page, number = difference_html(apart, "both wrong", len(wrong) + 1)
    assert number == 1 and f"2 of {len(wrong)}" in page and page.count("<article") == 2
    assert apart.questions.texts[ids[wrong[1]]].question in unescape(page)
    with pytest.raises(UsageError, match="the same run"):
        tell_apart(first, first)


def test_a_study_is_shown_while_it_goes_on(study: Path) -> None:
    [run, *_] = find_runs(study)
    done, before = run.read_manifest(), signature(study)
    assert "3 runs finished." in study_html(study)
    assert 'sandbox=""' in whole_report_html(study)
    try:
        run.write_manifest(done.model_copy(update={"status": "running"}))
        now = study_html(study)
    finally:
        run.write_manifest(done)
    assert signature(study) != before
    assert "2 runs finished, 1 not." in now and "step 2, loss" in now and "of training" in now


def test_data_are_laid_open(lab: Lab) -> None:
    for part in ("head", "decoder"):
        page = lab.looks.html(lab.catalogue.entry(name_of(lab, part)))
        assert page.count('class="target"') > 3
        assert "Lengths in tokens" in page and "overlap" in page and "proved" in page
