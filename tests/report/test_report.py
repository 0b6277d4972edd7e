"""Reports and comparisons come from files alone, and leave nothing out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from tests.report.studies import RECIPE, Writer, predictions, three_methods

from tunelab.cli import main
from tunelab.errors import RecordError, UsageError
from tunelab.recipe import with_settings
from tunelab.records import Proof, RunDirectory
from tunelab.report import compare_runs, write_report


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return three_methods(tmp_path / "out")


def test_failed_and_missing_runs_stay_in_the_table(study: Path) -> None:
    report = write_report(study)
    table = (study / "table.md").read_text()
    assert "# a | study" in table
    (head,) = [line for line in table.splitlines() if line.startswith("| head")]
    assert "0 of 3 (1 diverged, 2 missing)" in head
    assert "diverged: The loss is nan. Lower it." in table
    assert report.problems
    with (study / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    states = [line["status"] for line in lines if line["method"] == "head"]
    assert sorted(states) == ["diverged", "missing", "missing"]


def test_the_table_holds_medians_ranges_and_intervals(study: Path) -> None:
    write_report(study)
    table = (study / "table.md").read_text()
    (full,) = [line for line in table.splitlines() if line.startswith("| full")]
    for text in ("3 of 3", "1,500 (50 %)", "1 min 01 s (1 min 00 s to 1 min 02 s)", "3 MiB"):
        assert text in full
    assert "2.00 (1.00 to 3.00)" in full
    assert full.count("75.0") >= 2  # EM and F1
    assert "| price" not in table


def test_verdicts_are_paired_and_in_words(study: Path) -> None:
    report = write_report(study)
    document = json.loads((study / "comparisons.json").read_text())
    (f1,) = [row for row in document["comparisons"] if row["metric"] == "f1"]
    assert (f1["first"], f1["second"], f1["outcome"]) == ("full", "lora-r8", "better")
    assert f1["difference"] == pytest.approx(50.0)
    assert f1["low"] < 50 < f1["high"]
    assert (f1["seeds"], f1["items"], f1["paragraphs"]) == ([3, 3], 64, 16)
    assert f1["by_article"]["articles"] == 8
    assert any(s.startswith("full is better than lora-r8 by 50.0 F1") for s in report.verdicts)


def test_identical_methods_are_not_separable(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    for seed in range(3):
        rows = [(index * 7 + seed) % 5 > 1 for index in range(64)]
        moved = [(index * 7 + seed + 1) % 5 > 1 for index in range(64)]
        writer.write("full", seed, predictions(rows))
        writer.write("lora-r8", seed, predictions(moved))
    report = write_report(writer.out)
    assert all("not separable: full - lora-r8" in s for s in report.verdicts[:1])
    assert all("this study can show differences above" in s for s in report.verdicts[:1])


def test_runs_of_another_recipe_are_left_out_and_counted(study: Path) -> None:
    recipe = yaml.safe_load((study / "recipe.yaml").read_text())
    recipe["training"] = {"epochs": 1}
    (study / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    report = write_report(study)
    assert report.study.left_out == 7
    assert all(not row.method.runs for row in report.rows)
    assert "3 missing" in (study / "table.md").read_text()


def test_an_interrupted_run_with_searched_settings_stands_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"over": {"training.learning_rate": [1e-4, 1e-3]}, "trials": 2}
    monkeypatch.setitem(RECIPE, "search", search)
    writer = Writer(tmp_path / "out")
    asked = writer.runs["full", 0]
    writer.runs["full", 0] = with_settings(asked, {"training.learning_rate": 1e-3})
    writer.write("full", 0, None, status="interrupted", message="Stopped.")
    report = write_report(writer.out)
    assert report.study.left_out == 0
    assert [run.manifest.status for run in report.rows[0].method.runs] == ["interrupted"]


def test_runs_on_other_items_are_refused_with_the_counts(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    one = writer.write("full", 0, predictions([True] * 8))
    two = writer.write("lora-r8", 0, predictions([True] * 12, prefix="other"))
    with pytest.raises(UsageError, match=r"8 items .*12 .*0 ids in common"):
        compare_runs([one.path, two.path])


def test_an_unfinished_run_cannot_be_compared(study: Path) -> None:
    runs = sorted((study / "runs").iterdir())
    with pytest.raises(UsageError, match=r"'head' cannot be compared: .*diverged"):
        compare_runs([runs[0], next(run for run in runs if run.name.startswith("head"))])


def test_two_runs_of_one_method_are_told_apart(study: Path) -> None:
    runs = sorted((study / "runs").glob("full-*"))[:2]
    found = compare_runs(runs)
    assert found[0].verdict.first != found[0].verdict.second
    assert found[0].verdict.difference.value == 0
    assert "about these two trained models" in found[0].verdict.sentence


def test_a_torn_last_line_is_a_damaged_row(study: Path) -> None:
    place = RunDirectory(sorted((study / "runs").glob("full-*"))[0])
    content = place.predictions.read_bytes()
    place.predictions.write_bytes(content[:-20])
    report = write_report(study)
    (told,) = [line for line in report.problems if "full-seed0" in line]
    assert "damaged: " in told and "it ends in the middle of line 64" in told
    table = (study / "table.md").read_text()
    assert "| full | 2 of 3 (1 damaged) |" in table
    assert "<strong>damaged</strong> full-seed0" in (study / "report.html").read_text()
    with pytest.raises(RecordError, match=r"full-seed0.* is damaged.*line 64"):
        compare_runs([study])


def test_seeds_that_answered_other_items_are_told(study: Path) -> None:
    place = RunDirectory(sorted((study / "runs").glob("full-*"))[0])
    rows = [row.model_copy(update={"gold": ("right", "true")}) for row in place.read_predictions()]
    place.write_predictions(rows)  # the same ids and scores, but another test set
    with pytest.raises(RecordError, match=r"full-seed0.* and full-seed1.* other items: 64 .* 64 "):
        write_report(study)


def test_methods_on_other_items_keep_their_rows_without_a_verdict(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    writer.write("full", 0, predictions([True, False] * 4))
    writer.write("lora-r8", 0, predictions([True, False] * 6, prefix="other"))
    report = write_report(writer.out)
    assert report.comparisons == []
    table = (writer.out / "table.md").read_text()
    assert (
        "full and lora-r8 are not compared, they were scored on different items: 8 items" in table
    )
    assert "0 ids in common" in table


def test_a_report_needs_neither_data_nor_the_variables_of_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"version": "1.1", "test": ["$TUNELAB_TEST_FOLDER/dev.json"]}
    monkeypatch.setitem(RECIPE, "task", task)
    monkeypatch.setenv("TUNELAB_TEST_FOLDER", str(tmp_path))
    writer = Writer(tmp_path / "out")
    writer.write("full", 0, predictions([True, False] * 8))
    monkeypatch.delenv("TUNELAB_TEST_FOLDER")
    report = write_report(writer.out)
    assert [len(row.method.finished) for row in report.rows] == [1, 0, 0]
    assert report.study.left_out == 0


def test_articles_stand_beside_paragraphs_in_the_sentence(study: Path) -> None:
    first, *_ = write_report(study).verdicts
    low, high = (float(end) for end in first.partition("by article [")[2].rstrip("]").split(", "))
    assert low < 50 < high


def test_notes_and_failed_proofs_name_their_runs(study: Path) -> None:
    place = RunDirectory(sorted((study / "runs").glob("full-*"))[1])
    manifest = place.read_manifest()
    broken = Proof(name="moved", held=False, found="Nothing moved.", remedy="Raise the rate.")
    notes = (*manifest.notes, "kept epoch 2 of 3")
    place.write_manifest(manifest.model_copy(update={"notes": notes, "proofs": (broken,)}))
    write_report(study)
    table = (study / "table.md").read_text()
    assert "- validation: a note\n" in table
    assert "- kept epoch 2 of 3 (full seed 1)\n" in table
    assert "full: 0 of 1 held (moved)." in table
    assert f"{place.path.name}: 'moved' does not hold: Nothing moved. Raise the rate." in table


def test_a_damaged_line_is_told_with_its_number(study: Path) -> None:
    place = RunDirectory(sorted((study / "runs").glob("full-*"))[0])
    lines = place.predictions.read_text().splitlines(keepends=True)
    place.predictions.write_text("".join(["{]\n", *lines[1:]]))
    assert "line 1 is no valid Prediction" in " ".join(write_report(study).problems)
    with pytest.raises(RecordError, match=r"predictions\.jsonl, line 1 is no valid Prediction"):
        compare_runs([place.path, study])


def test_a_manifest_from_the_future_is_a_damaged_row(study: Path) -> None:
    place = RunDirectory(sorted((study / "runs").glob("full-*"))[0])
    manifest = json.loads(place.manifest.read_text()) | {"schema_version": 99}
    place.manifest.write_text(json.dumps(manifest))
    report = write_report(study)
    assert "damaged: " in report.problems[0] and "schema version 99" in report.problems[0]
    assert [len(row.method.finished) for row in report.rows] == [2, 3, 0]
    with pytest.raises(RecordError, match="schema version 99"):
        compare_runs([place.path])


def test_an_empty_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No runs in"):
        write_report(tmp_path)


def test_report_and_compare_from_the_command_line(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(path) for path in sorted((study / "runs").glob("*-seed0-*"))]
    full, lora = runs[0], runs[-1]

    def told(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        written = capsys.readouterr()
        return stopped.value.code, " ".join((written.out + written.err).split())

    for arguments in (["report", str(study)], ["compare", full, lora]):
        code, text = told(*arguments)
        assert code == 0
        assert "full is better than lora-r8 by" in text
    code, text = told("compare", full)
    assert code == 2
    assert "a comparison needs two" in text
    code, text = told("compare", full, lora, "--json")
    assert {row["metric"] for row in json.loads(text)} == {"f1", "exact_match"}
