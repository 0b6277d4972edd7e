"""`tunelab report`, `compare` and `score` from files alone, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.report.studies import RECIPE, Writer, predictions, three_methods

from tunelab.cli import main
from tunelab.errors import UsageError
from tunelab.report import compare_runs, study, write_report

BLOCKED = """
import sys
for name in ("torch", "transformers", "peft", "accelerate", "datasets"):
    sys.modules[name] = None  # importing it now fails
from tunelab.cli import main
main(sys.argv[1:])
"""


def test_nothing_of_training_is_needed(tmp_path: Path) -> None:
    directory = three_methods(tmp_path / "out")
    full, lora = (str(next((directory / "runs").glob(f"{n}-seed0*"))) for n in ("full", "lora-r8"))
    data = tmp_path / "dev.json"
    answer = {"text": "right", "answer_start": 0}
    asked = [{"id": f"q{n:03}", "question": "?", "answers": [answer]} for n in range(64)]
    document = {"data": [{"title": "a", "paragraphs": [{"context": "right", "qas": asked}]}]}
    data.write_text(json.dumps(document))
    score = ["score", "squad", "--data", str(data), "--predictions", f"{full}/predictions.jsonl"]
    for command in (["report", str(directory)], ["compare", full, lora], score):
        told = subprocess.run(
            [sys.executable, "-c", BLOCKED, *command], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
    assert (directory / "report.html").exists()


def test_limits_are_asked_for_with_their_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = three_methods(tmp_path / "out")
    limits = ["--max-memory", "2.5 MiB", "--max-seconds", "61", "--max-size", "50MB"]
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(directory), *limits, "--json"])
    assert stopped.value.code == 0
    advice = {
        each["topic"]: each["sentence"]
        for each in json.loads(capsys.readouterr().out)["recommendation"]
    }
    assert advice["Best under 2.5 MiB of peak memory"] == "No method; the least is 3 MiB, of full."
    assert advice["Best under 61 s of training time"].startswith("No method; the least is 1 min 02")
    assert advice["Best under 50MB of saved size"].startswith("full (75.0 F1")


@pytest.mark.parametrize("limit", ["2", "GB", "two GB", "2 parsecs"])
def test_a_limit_without_a_unit_is_refused(
    limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(tmp_path), "--max-memory", limit])
    assert stopped.value.code == 2
    assert "Such as --max-memory 2GB" in capsys.readouterr().err


def test_the_intersection_is_compared_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Writer(tmp_path / "out")
    one = writer.write("full", 0, predictions([True] * 16 + [False] * 48))
    two = writer.write("lora-r8", 0, predictions([False] * 32))
    with pytest.raises(UsageError, match=r"64 items .* 32 .*32 ids in common.*") as refused:
        compare_runs([one.path, two.path])
    assert "--intersection" in refused.value.hint
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(one.path), str(two.path), "--intersection"])
    assert stopped.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "On the 32 items that all of them share:" in told
    assert "full is better than lora-r8 by 50.0 F1" in told


def test_methods_of_one_label_in_two_studies_are_told_apart(tmp_path: Path) -> None:
    content = RECIPE | {"grid": {"seed": [0, 1]}}
    for name, right in (("one", 16), ("two", 8)):
        writer = Writer(tmp_path / name, content)
        for seed in (0, 1):
            writer.write("lora-r8", seed, predictions([n < right for n in range(32)]))
    studies = [tmp_path / "one", tmp_path / "two"]
    for given in (studies, [*studies, studies[0]]):  # the same one again says nothing
        found = compare_runs(given)
        told = {(each.verdict.first, each.verdict.second) for each in found}
        assert told == {("lora-r8 (one)", "lora-r8 (two)")}
        assert {each.verdict.difference.value for each in found} == {25.0}
    runs = [next((study / "runs").glob("*-seed0-*")) for study in studies]
    [first, *_] = compare_runs(runs)
    assert first.verdict.first == f"lora-r8 (one/runs/{runs[0].name})"
    mixed = compare_runs([studies[0], runs[0]])
    assert mixed[0].verdict.second == f"lora-r8 (one/runs/{runs[0].name})"


def test_answers_of_the_other_runs_are_written_where_one_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = three_methods(tmp_path / "out")
    torn, broken, *_ = sorted((directory / "runs").glob("full-*"))
    (torn / "predictions.jsonl").write_bytes(b"{")
    (broken / "manifest.json").write_bytes(b"{")
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(directory), "--answers"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.count("answers.csv") == 4
    assert (directory / "report.html").exists() and not (torn / "answers.csv").exists()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("validation", "No-answer thresholds were chosen on validation, per run."),
        (1.5, "No-answer thresholds that the recipe gives: 1.5."),
    ],
)
def test_where_thresholds_are_from_is_told(setting: object, sentence: str, tmp_path: Path) -> None:
    asked = {"task": {"version": "2.0"}, "evaluation": {"no_answer_threshold": setting}}
    writer = Writer(tmp_path / "out", RECIPE | asked)
    place = writer.write("full", 0, predictions([True] * 8))
    manifest = place.read_manifest().model_copy(update={"no_answer_threshold": 1.5})
    place.write_manifest(manifest)
    told = write_report(writer.out)
    table = (writer.out / "table.md").read_text()
    assert told.rows and sentence in table and table.count("No-answer thresholds") == 1


def test_a_model_behind_an_endpoint_goes_by_its_name(tmp_path: Path) -> None:
    model = {"endpoint": "http://localhost:1/v1", "name": "large-7b"}
    asked = {"task": {"version": "1.1"}, "model": model, "tuning": {"kind": "none"}}
    writer = Writer(tmp_path / "out", asked)
    writer.write("none", 0, predictions([True] * 8))
    write_report(writer.out)
    page = (writer.out / "report.html").read_text()
    assert "model large-7b" in page and "large-7b: " in page
    assert "model minilm" not in page and "minilm: " not in page


def test_no_shared_item_cannot_be_compared(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    one = writer.write("full", 0, predictions([True] * 8))
    two = writer.write("lora-r8", 0, predictions([True] * 12, prefix="other"))
    with pytest.raises(UsageError, match=r"no item that all 2 .*8, 12 items, 0 ids in common"):
        compare_runs([one.path, two.path], intersection=True)


def test_ids_that_stand_for_other_questions_are_not_shared(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out")
    rows = predictions([True] * 16)
    one = writer.write("full", 0, rows)
    other = [row.model_copy(update={"gold": ("right", "other")}) for row in rows[:12]]
    two = writer.write("lora-r8", 0, other)
    with pytest.raises(UsageError, match=r"12 of the 12 ids .* stand for different questions"):
        compare_runs([one.path, two.path], intersection=True)


def test_other_conventions_are_refused_even_on_shared_items(tmp_path: Path) -> None:
    rows = predictions([True, False] * 8)
    one = Writer(tmp_path / "one").write("full", 0, rows)
    newer = RECIPE | {"task": {"version": "2.0"}}
    two = Writer(tmp_path / "two", newer).write("lora-r8", 0, rows)
    with pytest.raises(UsageError, match=r"16 items of squad against 16 of squad_v2, 16 ids"):
        compare_runs([one.path, two.path])
    with pytest.raises(UsageError, match=r"full was scored as squad, lora-r8 as squad_v2"):
        compare_runs([one.path, two.path], intersection=True)


def test_many_runs_are_read_by_several_processes_to_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"tuning": [{"kind": "full"}, {"kind": "head"}], "seed": list(range(4))}
    writer = Writer(tmp_path / "out", RECIPE | {"grid": grid})
    for seed in range(4):
        writer.write("full", seed, predictions([n % 5 > seed for n in range(32)]))
        writer.write("head", seed, predictions([n % 7 == seed for n in range(32)]))
    written = writer.out / "runs"
    torn = next(written.glob("head-seed3-*")) / "predictions.jsonl"
    torn.write_bytes(torn.read_bytes()[:-3])
    (written / "strange").mkdir()
    (written / "strange" / "manifest.json").write_text("{")
    write_report(writer.out)
    alone = (writer.out / "report.html").read_bytes()
    monkeypatch.setattr(study, "_RUNS_A_PROCESS", 2)
    report = write_report(writer.out)
    assert (writer.out / "report.html").read_bytes() == alone
    assert [len(row.method.finished) for row in report.rows] == [4, 3]
    assert report.study.left_out == 1
