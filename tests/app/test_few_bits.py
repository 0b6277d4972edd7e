"""Runs on bases in few bits, asked through the page's own code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.running import run_here

from tunelab.app.asking import ask
from tunelab.app.lab import Lab
from tunelab.data import load_squad
from tunelab.recipe import extractive
from tunelab.records import RunDirectory

pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
pytest.importorskip("llmcompressor", reason="the extra `gptq` is not installed")


@pytest.mark.slow
def test_they_answer_as_they_were_scored(tmp_path: Path) -> None:
    content = {
        "name": "few bits",
        "task": {"kind": "squad", "version": "1.1", "train": "reading", "test": "reading"}
        | {"train_limit": 32, "test_limit": 4, "validation": 0},
        "model": {"path": "tiny", "max_length": 1024},
        "tuning": {"kind": "lora", "rank": 4},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 5.0e-3, "select": "last"},
        "evaluation": {"max_new_tokens": 8},
        "grid": {"model.quantize": ["nf4", "gptq-int4", "none"]},
    }
    path = tmp_path / "few-bits.yaml"
    path.write_text(yaml.safe_dump(content))
    run_here(path, tmp_path / "out")
    lab = Lab.of([str(tmp_path / "out")], taught=tmp_path / "taught.json", questions=None)
    try:
        names = lab.catalogue.askable()
        assert len(names) == 3
        questions = load_squad(extractive(lab.catalogue.entry(names[0]).recipe.task)).test
        heard = {
            name: [
                told.found.prediction.answer if told.found else told.problem
                for question in questions
                for told in ask(lab.catalogue, lab.shelf, [name], question, "as the run does")
            ]
            for name in names
        }
    finally:
        lab.shelf.close()
    for name in names:
        scored = RunDirectory(tmp_path / "out" / "runs" / name).read_predictions()
        answers = {row.id: row.answer for row in scored}
        assert heard[name] == [answers[question.id] for question in questions], name
