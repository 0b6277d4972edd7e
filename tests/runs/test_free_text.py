"""Conversations, free-text questions, mixtures and general text through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command import tunelab
from tests.free_text import CHAT, LICENSE, RECIPES
from tests.running import run_here


def write_recipe(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_data_swap_with_general_text_in_its_ledger(tmp_path: Path, small_decoder: Path) -> None:
    out = tmp_path / "out"
    recipe = RECIPES / "data-swap.yaml"
    done = tunelab("run", recipe, f"model.path={small_decoder}", "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    table = (out / "table.md").read_text()
    for heading in ("F1", "ROUGE-L", "perplexity", "bits per byte", "both sides", "unended"):
        assert f" {heading} |" in table
    assert "## Forgetting" in table
    assert "perplexity: " in table
    for run in (out / "runs").iterdir():
        scores = json.loads((run / "scores.json").read_text())
        assert set(scores) == {"chat", "text"}
        assert scores["text"]["bits_per_byte"]["low"] < scores["text"]["bits_per_byte"]["value"]
        assert {"both_sides", "unended", "loss", "rouge_l"} <= set(scores["chat"])
        for row in lines(run / "predictions.jsonl"):
            assert row["read"]["tokens"] > 0
            assert row["replied"]["prompt"].rstrip().endswith("<|assistant|>")
        manifest = json.loads((run / "manifest.json").read_text())
        assert all(proof["held"] for proof in manifest["proofs"])
        assert "prompt turns-model-1" in manifest["notes"]
    ledger = json.loads((out / "comparisons.json").read_text())["forgetting"]
    text = [entry for entry in ledger if entry["task"] == "text"]
    assert {entry["metric"] for entry in text} == {"perplexity"}
    assert all(entry["points_lost"] == 0 for entry in text)
    for entry in text:  # lower is better
        assert (entry["outcome"] == "worse") <= (entry["difference"] > 0)
    before = sorted((out / "base").rglob("predictions.jsonl"))
    assert len(before) == 2  # one for all data, and one for the text
    times = [path.stat().st_mtime_ns for path in before]
    again = tunelab("run", recipe, f"model.path={small_decoder}", "--out", out, "--quiet")
    assert again.returncode == 0, again.stderr
    assert [path.stat().st_mtime_ns for path in before] == times  # read once

    run = next((out / "runs").iterdir())
    evaluated = tunelab(
        "evaluate", run, "--task", "text", "--data", LICENSE, "window=256",
        "--json",
    )  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    found = json.loads(evaluated.stdout)["scores"]["perplexity"]["value"]
    here = json.loads((run / "scores.json").read_text())["text"]["perplexity"]["value"]
    assert found == pytest.approx(here)


@pytest.mark.slow
def test_a_mixture_is_scored_on_every_task(tmp_path: Path, small_decoder: Path) -> None:
    out = tmp_path / "out"
    recipe = RECIPES / "mixture.yaml"
    settings = [f"model.path={small_decoder}", "grid.task.weights=[[1, 1, 0], [1, 1, 1]]"]
    done = tunelab("run", recipe, *settings, "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    names = {"squad_v2/f1", "text-qa/f1", "text-qa/rouge_l", "chat/f1", "chat/both_sides"}
    drawn: set[str] = set()
    for run in (out / "runs").iterdir():
        scores = json.loads((run / "scores.json").read_text())["mixture"]
        assert names <= set(scores)
        assert scores["chat/f1"]["count"] == 24
        assert scores["text-qa/f1"]["count"] == 16
        rows = lines(run / "predictions.jsonl")
        assert {row["id"].split("/")[0] for row in rows} == {"squad_v2", "text-qa", "chat"}
        notes = json.loads((run / "manifest.json").read_text())["notes"]
        drawn.update(part for note in notes for part in note.split("; ") if "an epoch" in part)
    assert len(drawn) == 2
    assert any("chat" not in note for note in drawn)
    comparisons = json.loads((out / "comparisons.json").read_text())["comparisons"]
    assert {"squad_v2/f1", "chat/f1"} <= {each["metric"] for each in comparisons}
    examined = tunelab("doctor", recipe, settings[0], "grid=null", "--json")
    [found] = json.loads(examined.stdout)
    assert {"squad_v2, targets", "text-qa, targets", "chat, targets"} <= {
        finding["name"] for finding in found["findings"]
    }


@pytest.mark.slow
def test_long_contexts_of_real_abstracts(
    tmp_path: Path, shared_data: Path, small_decoder: Path
) -> None:
    """PubMedQA: the abstract is the context, the long answer the answer."""
    papers = json.loads((shared_data / "pubmedqa" / "ori_pqal.json").read_text())
    rows = [
        {
            "id": key,
            "context": "\n".join(paper["CONTEXTS"]),
            "question": paper["QUESTION"],
            "answers": [paper["LONG_ANSWER"]],
        }
        for key, paper in list(papers.items())[:24]
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:16]))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[16:]))
    content = {
        "task": {"kind": "text-qa", "train": "train.jsonl", "test": "test.jsonl"},
        "model": {"path": str(small_decoder), "max_length": 2048},
        "tuning": {"kind": "lora"},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3},
        "evaluation": {"max_new_tokens": 8},
    }
    [run] = run_here(write_recipe(tmp_path, content), tmp_path / "out")
    scores = run.read_scores()["text-qa"]
    assert scores["perplexity"].value > 1
    assert max(step.tokens for step in run.read_steps()) > 2048
    assert any(row.read is not None for row in run.read_predictions())


def test_mistakes_are_told_with_file_and_line(tmp_path: Path) -> None:
    rows = (CHAT / "test.jsonl").read_text().splitlines()
    bad = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    (tmp_path / "rows.jsonl").write_text("\n".join([rows[0], bad]) + "\n")
    told = tunelab(
        "run", RECIPES / "data-swap.yaml", f"task.test={tmp_path / 'rows.jsonl'}", "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert told.returncode == 2
    said = " ".join(told.stderr.split())
    assert "rows.jsonl: line 2 has no turn of the assistant" in said
    assert "task.bad_rows=leave-out" in said
