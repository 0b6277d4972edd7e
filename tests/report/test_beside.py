"""The second table, the curve and the spreadsheet, from the files of a study."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tunelab.evaluation.beside import literal_score
from tunelab.evaluation.scores import squad_scores
from tunelab.metrics import risk_coverage
from tunelab.recipe import digest, expand, labels, read_recipe
from tunelab.records import Decoded, Manifest, Prediction, RunDirectory
from tunelab.report import write_answers, write_report
from tunelab.report.answers import COLUMNS, answers_csv, harmless
from tunelab.report.charts import risk_chart

RECIPE = {
    "name": "decoders",
    "task": {"version": "2.0"},
    "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}], "seed": [0, 1]},
}


def said(key: str, response: str, answer: str, *gold: str, margin: float) -> Prediction:
    """`answer` as it was read off the response, the response itself if it could not be."""
    valid = answer != response
    return Prediction(
        id=key,
        group=f"p{key}",
        article="a",
        output=answer,
        answer="" if margin > 0 else answer,
        gold=gold,
        span_score=-2.0 if valid else -math.inf,
        null_score=-2.0 + margin,
        decoded=Decoded(
            prompt="Context: x\nQuestion: y",
            response=response,
            valid=valid,
            finished="stop",
            span_tokens=3,
            null_tokens=2,
        ),
    )


ROWS = [
    said("1", '{"answer": "Oslo"}', "Oslo", "Oslo", "in Oslo", margin=-4.0),
    said("2", '{"answer": "=1+1"}', "=1+1", margin=-1.0),
    said("3", '{"answer": "?"}', "", margin=0.0),
    said("4", "@cmd|' /C calc'!A0", "@cmd|' /C calc'!A0", "Rome", margin=1.0),
    said("5", '{"answer": "oslo"}', "oslo", "Oslo", margin=2.0),
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    (out / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    runs = expand(read_recipe(out / "recipe.yaml"))
    for label, recipe in zip(labels(runs), runs, strict=True):
        place = RunDirectory(out / "runs" / f"{label}-seed{recipe.seed}-{digest(recipe)}")
        place.path.mkdir(parents=True)
        place.recipe.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        rows = ROWS
        if label == "full" and recipe.seed == 1:  # this one knew that Rome was meant
            right = said("4", '{"answer": "Rome"}', "Rome", "Rome", margin=-0.5)
            rows = [*ROWS[:3], right, ROWS[4]]
        place.write_predictions(rows)
        place.write_scores(squad_scores(rows, version="2.0"))
        place.write_manifest(Manifest(label=label, digest=digest(recipe), status="ok"))
    return out


def test_the_second_table_has_the_five_percentages_and_the_area(study: Path) -> None:
    write_report(study)
    table = (study / "table.md").read_text()
    _, _, second = table.partition("## Beside the official scores")
    (heading,) = [line for line in second.splitlines() if line.startswith("| method")]
    assert "valid | literal EM | literal EM of valid" in heading
    (lora,) = [line for line in second.splitlines() if line.startswith("| lora-r8")]
    assert lora.startswith("| lora-r8 | 80.00 % | 40.00 % | 50.00 % | 50.00 % | 33.33 % | 0.")
    (full,) = [line for line in second.splitlines() if line.startswith("| full")]
    assert "50.00 % (40.00 % to 60.00 %)" in full
    assert "not SQuAD's exact match; percent" in second
    assert "![Risk against coverage](risk-coverage.svg)" in second


def test_json_tells_the_same_run_by_run(study: Path) -> None:
    write_report(study)
    document = json.loads((study / "comparisons.json").read_text())
    assert [(row["method"], row["seed"]) for row in document["beside"]] == [
        ("full", 0),
        ("full", 1),
        ("lora-r8", 0),
        ("lora-r8", 1),
    ]
    row = document["beside"][2]
    place = RunDirectory(study / "runs" / row["run"])
    scores = place.read_scores()["squad_v2"]
    assert row["risk_coverage_area"] == scores["risk_coverage_area"].value
    assert row["literal_exact_of_valid"] == scores["literal_exact_of_valid"].value
    assert row["risk_coverage_lowest_area"] <= row["risk_coverage_area"]


def test_the_picture_has_a_line_a_method_and_the_same_bytes(study: Path) -> None:
    write_report(study)
    first = (study / "risk-coverage.svg").read_bytes()
    write_report(study)
    assert (study / "risk-coverage.svg").read_bytes() == first
    text = " ".join(ElementTree.fromstring(first).itertext())
    assert "full (area" in text and "lora-r8 (area" in text


def test_labels_are_told_as_they_are() -> None:
    curve = risk_coverage([0.0, 1.0], [2.0, 1.0])
    picture = risk_chart({"a<$b$": [curve]}, {"a<$b$": 0}, standalone=True)
    assert "a<$b$ (area 0.250)" in " ".join(ElementTree.fromstring(picture).itertext())


def test_the_spreadsheet_sums_up_to_the_literal_figures() -> None:
    """By the formulas of LLaMA SQuAD's own summary, with the missing quotation mark put back."""
    rows = list(csv.DictReader(io.StringIO(answers_csv(ROWS), newline="")))
    assert tuple(rows[0]) == COLUMNS
    exact = [row["Exact match"] == "True" for row in rows]
    valid = [row["Model answer"] != "" for row in rows]
    without = [row["Correct answers"] == '["?"]' for row in rows]
    figures = literal_score(ROWS).figures()
    assert figures["literal_valid"] == pytest.approx(sum(valid) / len(rows))
    assert figures["literal_exact"] == pytest.approx(sum(exact) / len(rows))
    assert figures["literal_exact_of_valid"] == pytest.approx(sum(exact) / sum(valid))
    right = sum(e and w for e, w in zip(exact, without, strict=True))
    assert figures["literal_no_answer"] == pytest.approx(right / sum(without))
    assert figures["literal_has_answer"] == pytest.approx(
        (sum(exact) - right) / (len(rows) - sum(without))
    )


def test_no_cell_is_a_formula() -> None:
    cells = [cell for row in csv.reader(io.StringIO(answers_csv(ROWS))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'=1+1" in cells and "'@cmd|' /C calc'!A0" in cells


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", " =1", "\n=1", "＝1", "\rx"])
def test_formulas_are_defused(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Oslo", "1905", "a=b", '["-1"]', "'Til"])
def test_other_cells_stay(cell: str) -> None:
    assert harmless(cell) == cell


def test_answers_are_written_into_every_finished_run(study: Path) -> None:
    place = RunDirectory(next((study / "runs").glob("full-seed0-*")))
    place.write_manifest(place.read_manifest().model_copy(update={"status": "failed"}))
    written = write_answers(study)
    assert len(written) == 3 and place.answers not in written
    assert written[0].read_text(encoding="utf-8").startswith('"Prompt","Correct answers"')


def test_an_extractive_model_has_a_spreadsheet_too() -> None:
    row = Prediction(id="q", group="g", article="a", output="Oslo", answer="", gold=())
    found = list(csv.DictReader(io.StringIO(answers_csv([row]))))
    assert found == [
        {
            "Prompt": "",
            "Correct answers": '["?"]',
            "Model answer": "?",
            "Full response": "Oslo",
            "Exact match": "True",
        }
    ]


def test_runs_of_the_first_schema_are_still_read(study: Path) -> None:
    for path in (study / "runs").glob("*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 1}))
    for path in (study / "runs").glob("*/predictions.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[3]["span_score"] = -5.0
        path.write_text(
            "".join(
                json.dumps({key: row[key] for key in row if key != "decoded"}) + "\n"
                for row in rows
            )
        )
    report = write_report(study)
    assert len(report.rows) == 2
    assert "| literal EM |" in (study / "table.md").read_text()
