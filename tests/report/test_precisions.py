"""What was trained, scored in other precisions: rows apart, and no methods of their own."""

from __future__ import annotations

from pathlib import Path

import yaml
from tests.report.studies import cost, predictions

from tunelab.evaluation.scores import squad_scores
from tunelab.recipe import digest, expand, labels, read_recipe, trained_by
from tunelab.records import Manifest, RunDirectory
from tunelab.report import write_report
from tunelab.report.study import read_study

RECIPE = {
    "name": "precisions",
    "task": {"version": "1.1"},
    "tuning": {"kind": "lora"},
    "evaluation": {"quantize": ["none", "int8"]},
}
HELD = {"lora-r8": 1000, "lora-r8@none": 1000, "lora-r8@int8": 520}


def write(out: Path, wrong: dict[str, int]) -> None:
    """The runs as `tunelab run` would leave them; so many questions are wrong."""
    out.mkdir()
    (out / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    runs = expand(read_recipe(out / "recipe.yaml"))
    for label, run in zip(labels(runs), runs, strict=True):
        place = RunDirectory(out / "runs" / f"{label}-seed0-{digest(run)}")
        place.path.mkdir(parents=True)
        place.recipe.write_text(yaml.safe_dump(run.model_dump(mode="json")))
        rows = predictions([index >= wrong[label] for index in range(80)])
        place.write_predictions(rows)
        place.write_scores(squad_scores(rows, version="1.1"))
        spent = cost(10).model_copy(update={"held_bytes": HELD[label]})
        manifest = Manifest(label=label, digest=digest(run), status="ok", cost=spent)
        place.write_manifest(manifest)


def test_a_list_of_precisions_is_the_run_that_trains_and_one_run_each() -> None:
    from tunelab.recipe import validate

    listed = expand(validate(RECIPE, source="test"))
    assert labels(listed) == ["lora-r8", "lora-r8@none", "lora-r8@int8"]
    [alone] = expand(validate(RECIPE | {"evaluation": {}}, source="test"))
    assert digest(listed[0]) == digest(alone)  # what was trained before is found again
    assert {digest(trained_by(run)) for run in listed} == {digest(alone)}
    assert len({digest(run) for run in listed}) == 3


def test_precisions_are_told_beside_the_methods(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, {"lora-r8": 0, "lora-r8@none": 0, "lora-r8@int8": 4})
    report = write_report(out)
    assert [row.method.label for row in report.rows] == ["lora-r8"]
    assert not report.comparisons  # a precision is no method to be recommended
    text = (out / "table.md").read_text()
    assert "## In other precisions" in text
    assert "lora-r8: int8 costs 5.0 " in text
    assert "saves 48 % memory for the weights." in text
    assert "| lora-r8@none | 1 of 1 | 1000 B |" in text
    assert "lora-r8@int8" in (out / "table.csv").read_text()
    assert [each.label for each in read_study(out).precisions] == ["lora-r8@none", "lora-r8@int8"]


def test_a_gain_is_told_as_one(tmp_path: Path) -> None:
    write(tmp_path / "out", {"lora-r8": 4, "lora-r8@none": 4, "lora-r8@int8": 3})
    write_report(tmp_path / "out")
    text = (tmp_path / "out" / "table.md").read_text()
    assert "lora-r8: int8 adds 1.2 " in text
    assert "not separable; saves 48 %" in text
