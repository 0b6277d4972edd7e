"""Each trap that published projects fell into is planted, and the doctor must find it.

Those of the list that lie in a recipe, a data file or a tokenizer, by project:

    Lit-LLaMA-QA    a converter that appends: all data twice; "<unk>" as the gold answer of
                    unanswerable questions; long rows dropped or cut unseen; no held-out part, so
                    that choices fall on the test set; answers broken off by the generation limit;
                    shares of unanswerable questions misjudged
    LLaMA SQuAD     end-of-sequence masked because padding is the same token; indentation of the
                    program in the contexts; validation questions on training paragraphs; "?"
    EXPERT          prompts cut from the right, where the question stands; the prompt's mask
                    overwritten, so that prompts are trained
    all of them     labels all masked, a seam inside a token, beginning-of-sequence twice, a
                    template that cannot be rendered, control tokens in texts, broken offsets

The others have no place to be planted in: a wrong count of accumulation steps, an unused setting, a
home-made metric, a stop rule of one row. They are the subject of other tests.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.prompts import small

from tunelab.data import Example
from tunelab.data.reading import generate
from tunelab.doctor.decoders import examine_decoder, read, sight
from tunelab.doctor.examination import load_parts
from tunelab.doctor.findings import Finding
from tunelab.doctor.sequences import Reading, examine_seams, examine_targets
from tunelab.doctor.sights import Examination
from tunelab.errors import DataError
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Evaluation, Model, Prompt, Recipe, SquadTask
from tunelab.recipe.schema import LoraTuning, PrefixTuning, Tuning

CHAT = Prompt(style="chat-json")
Document = dict[str, Any]


generated = cache(lambda split, count: generate(split, questions=count))


class Clinic:
    """Generated data in files, to be spoilt, and examined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train = copy.deepcopy(generated("train", 24))
        self.test = copy.deepcopy(generated("test", 12))

    def examine(
        self,
        *,
        validation: float = 0.1,
        max_length: int = 4000,
        max_new_tokens: int = 200,
        prompt: Prompt = CHAT,
        tokenizer: Any = None,
        tuning: Tuning | None = None,
    ) -> Examination:
        paths: list[str] = []
        for name, document in (("train", self.train), ("test", self.test)):
            paths.append(str(self.folder / f"{name}.json"))
            Path(paths[-1]).write_text(json.dumps(document))
        task = SquadTask(train=(paths[0],), test=(paths[1],), validation=validation)
        recipe = Recipe(
            task=task,
            model=Model(max_length=max_length),
            prompt=prompt,
            evaluation=Evaluation(max_new_tokens=max_new_tokens),
            tuning=tuning or LoraTuning(kind="lora"),
        )
        train, test, _ = load_parts(task)
        return examine_decoder(
            recipe, train, test, tokenizer=tokenizer or small.chatml(), shots=(), shown=2
        )


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def alarms(examination: Examination) -> dict[str, Finding]:
    return {f.name: f for f in examination.findings if f.severity != "fact"}


def paragraphs(document: Document) -> list[Document]:
    return [paragraph for article in document["data"] for paragraph in article["paragraphs"]]


def questions(document: Document) -> list[Document]:
    return [question for paragraph in paragraphs(document) for question in paragraph["qas"]]


def answerable(document: Document) -> list[Document]:
    return [question for question in questions(document) if question["answers"]]


@pytest.mark.parametrize("prompt", [Prompt(), CHAT, Prompt(style="chat-json", turns="multi")])
@pytest.mark.parametrize("tokenizer", [small.chatml, small.llama_3, small.llama_2])
def test_no_alarm_on_clean_data(
    clinic: Clinic, tokenizer: Callable[[], Any], prompt: Prompt
) -> None:
    examination = clinic.examine(tokenizer=tokenizer(), prompt=prompt)
    assert alarms(examination) == {}
    assert examination.healthy
    for shown in examination.sights:
        told = "".join(token.text for token in shown.tokens)
        assert "".join(t.text for t in shown.tokens if t.target).strip() in told
        assert "\ufffd" not in told


def test_a_file_that_was_appended_to(clinic: Clinic) -> None:
    clinic.train["data"] = clinic.train["data"] * 2
    with pytest.raises(DataError, match="question ids occur more than once"):
        clinic.examine()
    again = copy.deepcopy(clinic.train["data"][: len(clinic.train["data"]) // 2])
    for article in again:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                question["id"] += "-again"
    clinic.train["data"][len(again) :] = again
    assert "written twice" in alarms(clinic.examine())["copies"].found


@pytest.mark.parametrize(
    ("word", "prompt"), [("<unk>", Prompt()), ("?", CHAT)], ids=["plain", "chat-json"]
)
def test_the_no_answer_word_as_a_gold_answer(clinic: Clinic, word: str, prompt: Prompt) -> None:
    spoilt = answerable(clinic.train)[0]
    spoilt["answers"] = [{"text": word, "answer_start": 0}]
    found = alarms(clinic.examine(prompt=prompt, validation=0.0))
    assert found["no-answer word"].ids == (spoilt["id"],)
    assert "offsets" in found


def test_long_rows_are_counted_in_train_and_test(clinic: Clinic) -> None:
    for document in (clinic.train, clinic.test):
        paragraph = paragraphs(document)[0]
        paragraph["context"] += " Nothing more is known." * 400
    examination = clinic.examine(validation=0.0)
    told = [f.found for f in examination.findings if f.name == "lengths"]
    for document, line in zip((clinic.train, clinic.test), told, strict=True):
        assert f"{len(paragraphs(document)[0]['qas'])} are longer and left out" in line


def test_virtual_tokens_take_room_from_the_text(clinic: Clinic) -> None:
    plain = clinic.examine(validation=0.0)
    longest = max(each.up_to[-1] for each in plain.lengths)  # of its last bin
    tuning = PrefixTuning(kind="prefix", virtual_tokens=60)
    assert "lengths" not in alarms(clinic.examine(validation=0.0, max_length=longest))
    found = alarms(clinic.examine(validation=0.0, max_length=longest, tuning=tuning))
    assert f"of {longest - 60} that the model reads" in found["lengths"].found


def test_prompts_whose_question_a_cut_would_lose(clinic: Clinic) -> None:
    examination = clinic.examine(validation=0.0, max_length=256)
    count = len(questions(clinic.train))
    lengths = next(f for f in examination.findings if f.name == "lengths")
    assert f"cut to that length {count} would lose the end of their question" in lengths.found
    assert lengths.severity == "error"
    assert not examination.healthy


def test_nothing_held_out(clinic: Clinic) -> None:
    assert "neither an epoch nor" in alarms(clinic.examine(validation=0.0))["choice"].found


def test_answers_that_generation_would_break_off(clinic: Clinic) -> None:
    found = alarms(clinic.examine(max_new_tokens=14))["answer room"]
    assert "longer than the 14 tokens" in found.found


def test_shares_of_unanswerable_questions_that_differ(clinic: Clinic) -> None:
    for question in questions(clinic.train)[::2]:
        question["answers"] = []
    assert "of the training and" in alarms(clinic.examine())["answerability"].found


def test_padding_that_is_end_of_sequence_hides_it_from_others_not_from_us(clinic: Clinic) -> None:
    tokenizer = small.chatml()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    assert "untrained end" not in alarms(clinic.examine(tokenizer=tokenizer))


def test_indentation_of_a_program(clinic: Clinic) -> None:
    paragraph = paragraphs(clinic.train)[0]
    paragraph["context"] += "\n" + " " * 20 + "It is told."
    assert len(alarms(clinic.examine(validation=0.0))["indentation"].ids) == len(paragraph["qas"])


def test_test_questions_on_training_paragraphs(clinic: Clinic) -> None:
    moved = copy.deepcopy(clinic.train["data"][0])
    for paragraph in moved["paragraphs"]:
        for question in paragraph["qas"]:
            question["id"] += "-test"
    clinic.test["data"].append(moved)
    examination = clinic.examine(validation=0.0)
    assert "also trained on" in alarms(examination)["overlap"].found
    assert not examination.healthy


def test_an_answer_that_does_not_stand_at_its_offset(clinic: Clinic) -> None:
    answerable(clinic.train)[0]["answers"][0]["answer_start"] += 1
    assert "do not stand at their offset" in alarms(clinic.examine(validation=0.0))["offsets"].found


def test_half_characters_and_empty_answers_are_listed_and_the_rest_is_examined(
    clinic: Clinic,
) -> None:
    questions(clinic.train)[0]["question"] += "\ud83d"
    emptied = answerable(clinic.train)[1]
    emptied["answers"] = [{"text": "", "answer_start": 0}]
    examination = clinic.examine(validation=0.0)
    found = alarms(examination)["unreadable"]
    assert set(found.ids) == {questions(clinic.train)[0]["id"], emptied["id"]}
    assert "2 questions cannot be asked or learnt" in found.found
    assert any(f.name == "targets" for f in examination.findings)


def test_control_tokens_in_a_text_are_told_and_harmless(clinic: Clinic) -> None:
    questions(clinic.train)[0]["question"] += " <|im_end|>"
    examination = clinic.examine(validation=0.0)
    (told,) = (f for f in examination.findings if f.name == "control tokens")
    assert told.ids == (questions(clinic.train)[0]["id"],)
    assert set(alarms(examination)) == {"choice"}


def test_a_seam_inside_a_token(clinic: Clinic) -> None:
    context = "It is\n\nFrance."
    asked = {"id": "seam", "question": "What?", "answers": [{"text": "\n\nFrance"}]}
    asked["answers"][0]["answer_start"] = context.index("\n")
    clinic.train["data"].append(
        {"title": "Seam", "paragraphs": [{"context": context, "qas": [asked]}]}
    )
    found = alarms(clinic.examine(validation=0.0, prompt=Prompt()))["seam"]
    assert found.ids == ("seam",)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (None, "no chat template"),
        ("{{ raise_exception('no') }}", "cannot be rendered: no"),
        ("{{ '<|endoftext|>' * 2 }}" + small.CHATML, "'<|endoftext|>' twice"),
    ],
)
def test_a_template_that_does_not_do(clinic: Clinic, template: str | None, told: str) -> None:
    tokenizer = copy.deepcopy(small.chatml())
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.chat_template = template
    examination = clinic.examine(tokenizer=tokenizer)
    assert told in alarms(examination)["prompt"].found
    assert not examination.healthy


def reading(ids: list[int], targets: list[bool], *, prompt_length: int = 2) -> Reading:
    encoded = EncodedExample(ids=tuple(ids), targets=tuple(targets))
    return Reading(small.example(), encoded, prompt_length=prompt_length, merged=False)


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        ([False, False, True, False], "untrained end"),
        ([False, True, True, True], "trained prompt"),
        ([False, False, False, False], "no targets"),
    ],
)
def test_labels_that_somebody_overwrote(targets: list[bool], name: str) -> None:
    found = examine_targets("train", [reading([5, 6, 7, 2], targets)], stops={2})
    assert name in [f.name for f in found if f.severity == "error"]


def test_an_end_that_is_not_there() -> None:
    cut = reading([5, 6, 7, 8], [False, False, True, True])
    assert [f.name for f in examine_targets("train", [cut], stops={2})] == ["untrained end"]


def test_beginning_of_sequence_twice() -> None:
    twice = reading([1, 1, 5, 6, 2], [False, False, False, True, True], prompt_length=3)
    assert [f.name for f in examine_seams("train", [twice], begin=1)] == ["double beginning"]
    once = reading([1, 5, 6, 2], [False, False, True, True])
    assert [f.severity for f in examine_seams("train", [once], begin=1)] == ["fact"]


def test_what_is_shown_is_what_is_read_with_odd_characters_spelled_out() -> None:
    tokenizer = small.chatml()
    asked: Example = small.example(context="A ☃\x1b[31m\u200b in France.")
    prompter = Prompter(tokenizer, Prompt())
    (each,) = read([asked], prompter)
    shown = sight(asked, each.encoded, tokenizer)
    told = "".join(token.text for token in shown.tokens)
    assert "A ☃\\x1b[31m\\u200b in France." in told
    assert "".join(token.text for token in shown.tokens if token.target) == "France<|im_end|>"
