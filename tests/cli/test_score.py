"""`tunelab score` as a user meets it: figures, remarks, and mistakes."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunelab.cli import main
from tunelab.records import Decoded, Prediction


def data_file(folder: Path, *, name: str = "data.json") -> Path:
    """Two paragraphs; q1 and q2 have answers, q3 has none."""

    def question(key: str, *answers: str) -> dict[str, Any]:
        gold = [{"text": text, "answer_start": 0} for text in answers]
        return {"id": key, "question": "?", "answers": gold, "is_impossible": not answers}

    paragraphs = [
        {"context": "Oslo is old.", "qas": [question("q1", "Oslo"), question("q2", "Oslo is")]},
        {"context": "Rome is older.", "qas": [question("q3")]},
    ]
    path = folder / name
    path.write_text(json.dumps({"data": [{"title": "Towns", "paragraphs": paragraphs}]}))
    return path


def score(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run `tunelab score`; exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        main(["score", *map(str, arguments)])
    out, err = capsys.readouterr()
    code = left.value.code
    return (code if isinstance(code, int) else 0), out, err


def test_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_file(tmp_path)
    predictions = tmp_path / "p.json.gz"
    predictions.write_bytes(gzip.compress(b'{"q1": "oslo", "q3": "", "q8": "x", "q9": "y"}'))
    code, out, err = score(
        "squad_v2", "--data", data, "--predictions", predictions, "--json", capsys=capsys
    )
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["scores"]["exact"] == 100.0
    assert document["scores_with_missing_as_wrong"]["exact"] == pytest.approx(200 / 3)
    assert document["missing"] == {"count": 1, "first": ["q2"]}
    assert document["extra"] == {"count": 2, "first": ["q8", "q9"]}
    assert "tuned_on_test" not in document
    assert document["literal"].pop("convention").startswith("literal match")
    assert document["literal"] == {  # oslo is not Oslo
        "literal_exact": 0.5,
        "literal_no_answer": 1.0,
        "literal_has_answer": 0.0,
    }


def test_the_table_names_missing_and_extra_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_file(tmp_path)
    predictions = tmp_path / "p.json"
    predictions.write_text('{"q1": "oslo", "q3": "", "q9": "y"}')
    _, out, _ = score("squad_v2", "--data", data, "--predictions", predictions, capsys=capsys)
    assert "HasAns_f1" in out
    assert "1 questions have no prediction" in out and "q2" in out
    assert "1 predictions are for other questions, ignored: q9" in out


def test_a_run_s_own_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers are scored as given; the best threshold is sought over the best spans."""

    def row(key: str, answer: str, gold: tuple[str, ...], margin: float) -> str:
        return Prediction(
            id=key,
            group="g",
            article="a",
            output="Oslo",
            answer=answer,
            gold=gold,
            span_score=1.0,
            null_score=1.0 + margin,
        ).model_dump_json()

    rows = [
        row("q1", "", ("Oslo",), -2.0),  # withheld by a bad threshold
        row("q2", "Oslo is", ("Oslo is",), -1.0),
        row("q3", "", (), 3.0),
    ]
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text("\n".join(rows) + "\n")
    _, out, _ = score(
        "squad_v2",
        "--data",
        data_file(tmp_path),
        "--predictions",
        predictions,
        "--json",
        capsys=capsys,
    )
    document = json.loads(out)
    assert document["scores"]["exact"] == pytest.approx(200 / 3)
    tuned = document["tuned_on_test"]
    assert "tuned on test" in tuned["convention"]
    assert tuned["best_f1"] > document["scores"]["f1"]
    assert tuned["best_exact_thresh"] == pytest.approx(0.1192, abs=1e-4)  # logistic(-2)

    predictions.write_text("\n".join(rows) + "\n" + rows[0][:20])
    data = data_file(tmp_path)
    code, _, err = score("squad_v2", "--data", data, "--predictions", predictions, capsys=capsys)
    assert code == 2
    assert "ends in the middle of line 4" in err


def test_the_answers_of_a_decoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The literal figures are of the answers as decoded, and know which could be read."""
    rows = [
        Prediction(
            id=key,
            group="g",
            article="a",
            output=said,
            answer="",
            gold=(),
            span_score=-9.0 if valid else -math.inf,
            null_score=-1.0,
            decoded=Decoded(
                prompt="?",
                response=said,
                valid=valid,
                finished="stop",
                span_tokens=2,
                null_tokens=2,
            ),
        )
        for key, said, valid in (("q1", "Oslo", True), ("q2", "{Oslo", False), ("q3", "", True))
    ]
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text("".join(row.model_dump_json() + "\n" for row in rows))
    arguments = ("squad_v2", "--data", data_file(tmp_path), "--predictions", predictions)
    _, out, _ = score(*arguments, "--json", capsys=capsys)
    document = json.loads(out)
    assert document["scores"]["exact"] == pytest.approx(100 / 3)
    assert document["literal"]["literal_exact"] == document["literal"]["literal_valid"]
    assert document["literal"]["literal_valid"] == pytest.approx(2 / 3)
    assert document["literal"]["literal_exact_of_valid"] == 1.0
    _, out, _ = score(*arguments, capsys=capsys)
    assert "literal_has_answer" in out and "Literal: literal match" in out


MISTAKES = {
    "no such file": (None, "There is no file"),
    "cut off": ('{"q1": "x",\n "q2', "line 2, column 2"),
    "a list": ("[1, 2]", "holds a list of 2"),
    "wrong value": (
        '{"q1": "x", "q2": ["y"]}',
        "1 of 2 predictions are no text, the first is 'q2'",
    ),
    "null": ('{"q1": null}', "'q1': None"),
    "twice": ('{"q1": "x", "q1": "y"}', "1 ids occur more than once, the first is 'q1'"),
    "data": ('{"data": []}', "is a data file of questions"),
    "other ids": ('{"z": "x"}', "None of the 1 predictions is for one of the 3 questions"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_broken_predictions_are_told(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = MISTAKES[mistake]
    predictions = tmp_path / "p.json"
    if content is not None:
        predictions.write_text(content)
    code, out, err = score(
        "squad_v2", "--data", data_file(tmp_path), "--predictions", predictions, capsys=capsys
    )
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"q1": "x"}', "1 of 1 values are no numbers, the first is 'q1': 'x'"),
        ('{"q1": NaN}', "'q1': nan"),
        ('{"q2": 0.5}', "lack 1 of 1 predicted questions, the first is 'q1'"),
    ],
)
def test_broken_probabilities_are_told(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, probabilities = tmp_path / "p.json", tmp_path / "na.json"
    predictions.write_text('{"q1": "x"}')
    probabilities.write_text(content)
    code, _, err = score(
        "squad_v2",
        "--data",
        data_file(tmp_path),
        "--predictions",
        predictions,
        "--no-answer-probabilities",
        probabilities,
        capsys=capsys,
    )
    assert code == 2
    assert message in err


def test_other_mistakes_name_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_file(tmp_path)
    predictions = tmp_path / "p.json"
    predictions.write_text('{"q1": "x"}')
    folder = ("squad", "--data", data, "--predictions", tmp_path)
    assert "predictions.jsonl" in score(*folder, capsys=capsys)[2]
    version = ("squad", "--data", data, "--predictions", predictions)
    assert "tunelab score squad_v2" in score(*version, capsys=capsys)[2]
    jsonl = tmp_path / "answers.jsonl"
    jsonl.write_text('{"q1": "x"}\n')
    rows = score("squad_v2", "--data", data, "--predictions", jsonl, capsys=capsys)
    assert rows[0] == 2 and "line 1" in rows[2] and ".json file" in rows[2]


def test_scoring_loads_no_torch() -> None:
    modules = "tunelab.cli, tunelab.data, tunelab.evaluation.scores"
    code = (
        f"import {modules}, tunelab.evaluation.prediction_file, sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
