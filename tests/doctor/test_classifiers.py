"""PubMedQA as an encoder reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tunelab.doctor.classifiers import examine_classifier
from tunelab.doctor.examination import examine
from tunelab.doctor.sights import Examination
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.recipe import Model, PubmedqaTask, Recipe


def article(number: int, decision: str, *, words: int = 20) -> dict[str, Any]:
    return {
        "QUESTION": f"Does drug {number} help patients who have had it for a long time at home?",
        "CONTEXTS": [" ".join(["Patients improved."] * (words // 2))],
        "LABELS": ["RESULTS"],
        "MESHES": [],
        "YEAR": "2010",
        "reasoning_required_pred": decision,
        "reasoning_free_pred": decision,
        "final_decision": decision,
        "LONG_ANSWER": "It did.",
    }


def official(folder: Path, decisions: list[str]) -> dict[str, Any]:
    """Settings of a task whose test half is one question."""
    rows = {str(n): article(n, decision, words=20 * n) for n, decision in enumerate(decisions, 1)}
    (folder / "ori_pqal.json").write_text(json.dumps(rows | {"99": article(99, "yes")}))
    (folder / "test_ground_truth.json").write_text(json.dumps({"99": "yes"}))
    named = [str(folder / "ori_pqal.json")]
    return {"kind": "pubmedqa", "test": named, "validation": 0.0, "read": "likelihood"}


def examined(folder: Path, decisions: list[str], **model: Any) -> Examination:
    task = PubmedqaTask.model_validate(official(folder, decisions))
    recipe = Recipe(task=task, model=Model(path="minilm", **model))
    tokenizer = AutoTokenizer.from_pretrained(resolve_checkpoint("minilm"))
    return examine_classifier(recipe, task, tokenizer=tokenizer, shown=1)


def test_classes_and_lengths_are_told_and_a_row_is_laid_open(tmp_path: Path) -> None:
    found = examined(tmp_path, ["yes", "no", "maybe", "yes"], max_length=200)
    told = [finding.found for finding in found.findings]
    assert {"train: 2 yes, 1 no, 1 maybe.", "train: 2 yes, 1 maybe, 1 no."} & set(told)
    assert found.healthy and all(finding.severity == "fact" for finding in found.findings)
    [sight] = found.sights
    assert [token.text for token in sight.tokens if token.target] == ["-> yes"]


def test_what_is_cut_and_what_cannot_be_learnt_are_warnings(tmp_path: Path) -> None:
    found = examined(tmp_path, ["yes", "no", "yes", "no"], max_length=64)
    warned = {each.name: each for each in found.findings if each.severity == "warning"}
    assert "never maybe" in warned["classes"].found
    assert "3 abstracts lose their end" in warned["lengths"].found


def test_a_question_that_fills_the_row_is_an_error(tmp_path: Path) -> None:
    found = examined(tmp_path, ["yes", "no", "maybe"], max_length=16)
    assert not found.healthy
    assert any("leaves no room" in each.found for each in found.findings)


def test_the_doctor_of_a_recipe_looks_at_it(tmp_path: Path) -> None:
    task = official(tmp_path, ["yes", "no", "maybe"])
    recipe = Recipe.model_validate({"task": task, "model": {"path": "minilm"}})
    assert any(each.name == "classes" for each in examine([recipe]).findings)
