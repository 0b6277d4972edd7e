"""Reading the official SQuAD format, and refusing what is not in it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tunelab.data import load_sources, load_squad, misplaced_answers, parse_squad, read_squad
from tunelab.errors import DataError
from tunelab.recipe import SquadTask


def document(**question: Any) -> dict[str, Any]:
    qa = {
        "id": "q1",
        "question": "Who founded Arl?",
        "answers": [{"text": "Ebba Lind", "answer_start": 19}],
    } | question
    paragraph = {"context": "Arl was founded by Ebba Lind in 1702.", "qas": [qa]}
    return {"version": "1.1", "data": [{"title": "Arl", "paragraphs": [paragraph]}]}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_question_comes_with_its_paragraph_and_article(tmp_path: Path) -> None:
    (example,) = read_squad(write(tmp_path / "a.json", document()))
    assert (example.id, example.article, example.gold) == ("q1", "Arl", ("Ebba Lind",))
    start = example.answers[0].start
    assert example.context[start:].startswith("Ebba Lind")


def test_gzipped_files_read_the_same(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.json", document())
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_squad(packed) == read_squad(plain)


def test_plausible_answers_of_impossible_questions_are_not_gold() -> None:
    (example,) = parse_squad(
        document(is_impossible=True, answers=[], plausible_answers=[{"text": "Arl"}]), source="x"
    )
    assert example.gold == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [', r"no valid JSON: .* at line 1, column"),
        ("[]", "there should be a list 'data'"),
        ('{"data": []}', "holds no question"),
        ('{"data": [{"title": "A"}]}', r"data\[0\]: there should be a list 'paragraphs'"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "'context' should be text"),
    ],
)
def test_broken_files_are_told_with_the_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_squad(path)
    assert "broken.json" in caught.value.problem


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"id": 7}, r"qas\[0\]: 'id' should be text; found 7"),
        ({"answers": "Ebba"}, "there should be a list 'answers'"),
        ({"answers": [{"text": "Ebba", "answer_start": "19"}]}, "'answer_start' should be a whole"),
        ({"answers": [{"answer_start": 19}]}, "'text' should be text"),
    ],
)
def test_wrong_questions_are_told_with_the_place(question: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_squad(document(**question), source="x")


def test_a_missing_file_is_told() -> None:
    with pytest.raises(DataError, match="no data file"):
        read_squad(Path("nowhere.json"))


def test_a_truncated_gzip_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document()).encode())[:40])
    with pytest.raises(DataError, match="cannot be read"):
        read_squad(path)


def test_joined_files_must_not_share_ids(tmp_path: Path) -> None:
    one = write(tmp_path / "one.json", document())
    two = write(tmp_path / "two.json", document(question="Who built Arl?"))
    with pytest.raises(DataError, match="1 question ids occur more than once, the first is 'q1'"):
        load_sources([str(one), str(two)], part="train", version="2.0")


def test_an_answer_that_is_not_at_its_offset_stops_the_run(tmp_path: Path) -> None:
    wrong = document(answers=[{"text": "Ebba Lind", "answer_start": 3}])
    path = write(tmp_path / "wrong.json", wrong)
    assert len(misplaced_answers(read_squad(path))) == 1
    with pytest.raises(DataError, match=r"1 answers do not stand at their offset .*'q1'"):
        load_squad(SquadTask(version="1.1", train=(str(path),), test=(str(path),), validation=0))


def test_version_1_has_no_unanswerable_questions(tmp_path: Path) -> None:
    path = write(tmp_path / "two.json", document(is_impossible=True, answers=[]))
    with pytest.raises(DataError, match=r'1 questions have no answer.*version is "1.1"'):
        load_squad(SquadTask(version="1.1", train=(str(path),), test=(str(path),), validation=0))


def test_a_paragraph_in_train_and_test_is_reported(tmp_path: Path) -> None:
    train = write(tmp_path / "train.json", document())
    shouted = document(id="q2")
    paragraph = shouted["data"][0]["paragraphs"][0]
    paragraph["context"] = paragraph["context"].upper()
    test = write(tmp_path / "test.json", shouted)
    data = load_squad(
        SquadTask(version="1.1", train=(str(train),), test=(str(test),), validation=0)
    )
    assert any("WARNING: 1 test paragraphs are also trained on" in note for note in data.notes)


def test_a_hub_id_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"(?s)'nobody/nothing' is no file.*Without a network"):
        load_sources(["nobody/nothing"], part="train", version="2.0")


def test_published_files_are_read_whole(shared_data: Path) -> None:
    dev = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    assert len(dev) == 11_873
    assert sum(not example.answers for example in dev) == 5_945
    assert len({example.article for example in dev}) == 35
    assert not misplaced_answers(dev)
