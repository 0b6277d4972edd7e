"""The page: everything on it, nothing from elsewhere, and no text of a model believed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.report.studies import RECIPE, Writer, predictions, three_methods

from tunelab.data import text_hash
from tunelab.records import Prediction, RunDirectory
from tunelab.report import write_report
from tunelab.report.slices import kind_of_question, sample
from tunelab.report.visible import visible

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """Ids, links, text, and whether every element is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += f" {data}"


def read(directory: Path) -> Reader:
    reader = Reader()
    reader.feed((directory / "report.html").read_text(encoding="utf-8"))
    reader.text = " ".join(reader.text.split())
    assert reader.open == []
    return reader


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return three_methods(tmp_path / "out")


def test_the_page_needs_nothing_but_itself(study: Path) -> None:
    write_report(study)
    page = read(study)
    assert all(link.startswith("#") for link in page.links)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert not [name for name in page.attributes if name.startswith("on")]
    text = (study / "report.html").read_text()
    assert "url(" not in text and "@import" not in text
    assert "default-src 'none'" in text


def test_every_link_leads_somewhere_and_every_id_is_there_once(study: Path) -> None:
    write_report(study)
    page = read(study)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert [link for link in page.links if link.startswith("#run-")]


def test_the_answer_stands_first_and_everywhere_the_same(study: Path) -> None:
    report = write_report(study)
    best = report.advice[0].sentence
    assert best.startswith("full (75.0 F1") and "the next, lora-r8 (25.0 F1" in best
    page = read(study)
    assert page.text.index(best) < page.text.index("Scores and cost", page.text.index(best))
    assert f"**Best quality.** {best}" in (study / "table.md").read_text().splitlines()[2]
    document = json.loads((study / "comparisons.json").read_text())
    assert document["recommendation"][0]["sentence"] == best
    assert len(document["recommendation"][0]["runs"]) == 6


def test_failed_missing_and_damaged_runs_are_on_the_page(study: Path) -> None:
    place = RunDirectory(next((study / "runs").glob("lora-r8-seed1-*")))
    place.predictions.write_bytes(place.predictions.read_bytes()[:-9])
    write_report(study)
    page = read(study).text
    assert "diverged head-seed0" in page and "The loss is nan. Lower it." in page
    assert "missing head, seed 1, 2" in page
    assert "damaged lora-r8-seed1" in page and "in the middle of line 64" in page
    assert "5 of 9 runs finished" in page


def test_a_study_without_a_finished_run_has_a_page(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    writer.write("full", 0, None, status="out_of_memory", message="No memory left.")
    write_report(writer.out)
    page = read(writer.out).text
    assert "nothing to recommend" in page
    assert "out_of_memory full-seed0" in page


EVIL = '<script>alert("x")</script><b onload=1>\x1b[31mred\u202egnp.exe\x00'


def squad(folder: Path, questions: int) -> Path:
    """A data file of the items of `predictions`, with a hostile question."""
    contexts = [f"Paragraph {number}. It is right. {EVIL}" for number in range(questions)]
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": f"q{4 * number + part:03}",
                    "question": f"How many {EVIL}?" if part else "Who?",
                    "answers": [{"text": "right", "answer_start": context.index("right")}],
                }
                for part in range(4)
            ],
        }
        for number, context in enumerate(contexts)
    ]
    path = folder / "dev.json"
    path.write_text(json.dumps({"data": [{"title": EVIL, "paragraphs": paragraphs}]}))
    return path


def test_what_a_model_wrote_is_shown_and_never_believed(tmp_path: Path) -> None:
    data = squad(tmp_path, 16)
    groups = [
        text_hash(paragraph["context"])
        for paragraph in json.loads(data.read_text())["data"][0]["paragraphs"]
    ]

    def rows(correct: bool) -> list[Prediction]:
        return [
            row.model_copy(
                update={
                    "group": groups[n // 4],
                    "answer": "right" if correct == (n % 3 == 0) else EVIL,
                }
            )
            for n, row in enumerate(predictions([True] * 64))
        ]

    recipe = RECIPE | {"name": EVIL, "task": {"version": "1.1", "test": [str(data)]}}
    writer = Writer(tmp_path / "out", recipe)
    for seed in range(2):
        writer.write("full", seed, rows(True))
        writer.write("lora-r8", seed, rows(False))
    writer.write("head", 0, None, status="failed", message=f"Bad: {EVIL}")
    write_report(writer.out)
    page = read(writer.out)
    assert not page.tags & {"script", "b"} and "onload" not in page.attributes
    shown = '<script>alert("x")</script><b onload=1>⟨U+001B⟩[31mred⟨U+202E⟩gnp.exe⟨U+0000⟩'
    assert f"How many {shown}?" in page.text and "full is right, lora-r8 is wrong" in page.text
    for text in (f"Bad: {shown}", f"lora-r8 {shown}", f". It is right . {shown}"):
        assert text in page.text
    raw = (writer.out / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\x00\x1b\u202e]", raw)
    assert "By kind of question" in page.text


def test_questions_that_are_not_here_are_missed_in_words(study: Path) -> None:
    write_report(study)  # its data would be the generated set, which has other questions
    assert "The questions are not shown: reading holds other questions now." in read(study).text


def test_the_page_holds_a_sample_whatever_the_number_of_items(study: Path) -> None:
    methods = [row.method for row in write_report(study).rows if row.method.finished]
    picked = sample(methods, "f1", each=2, most=3)
    assert len(picked) == 3 and len({each.index for each in picked}) == 3
    assert picked == sample(methods, "f1", each=2, most=3)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who built it?", "who"),
        ("In what year was it?", "what"),
        ("To whom did he write?", "who"),
        ("How many are there?", "how many, how much"),
        ("However, how is it done?", "how"),
        ("Name the river.", "other"),
        ("???", "other"),
        ("", ""),
    ],
)
def test_kinds_of_questions(question: str, kind: str) -> None:
    assert kind_of_question(question) == kind


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\u2067b\u2069", "a⟨U+2067⟩b⟨U+2069⟩"),
        ("\ufeffx\x9b", "⟨U+FEFF⟩x⟨U+009B⟩"),
        ("half \ud800", "half ⟨U+D800⟩"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_hidden_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
