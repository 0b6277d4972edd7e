"""Small files in the official form of every task with given answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def small_tasks(folder: Path) -> dict[str, dict[str, Any]]:
    """Kind -> the table of a task on files written into `folder`, with something to train on."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "pubmedqa": {"kind": "pubmedqa", "test": str(write_pubmedqa(folder))},
        "mmlu": {
            "kind": "mmlu",
            "test": str(_write_mmlu(folder / "mmlu")),
            "subjects": ["anatomy"],
            "shots": 1,
        },
        "arc": {
            "kind": "arc",
            "test": str(write_arc(folder / "arc-test.jsonl", prefix="test")),
            "train": str(write_arc(folder / "arc-train.jsonl", prefix="train")),
        },
        "hellaswag": {
            "kind": "hellaswag",
            "test": str(_write_hellaswag(folder / "hellaswag-test.jsonl", first=0)),
            "train": str(_write_hellaswag(folder / "hellaswag-train.jsonl", first=100)),
        },
        "truthfulqa": {
            "kind": "truthfulqa",
            "test": str(_write_truthfulqa(folder / "mc_task.json", "test")),
            "train": str(_write_truthfulqa(folder / "mc_train.json", "train")),
        },
    }


def write_pubmedqa(folder: Path, *, papers: int = 30, tested: int = 9) -> Path:
    """ori_pqal.json, and beside it which of its papers are tested."""
    rows = {
        str(number): {
            "QUESTION": f"Does {number} work?",
            "CONTEXTS": [f"We tried {number}. " * 30],
            "LONG_ANSWER": f"It seems that {number} works.",
            "final_decision": ("yes", "no", "maybe")[number % 3],
        }
        for number in range(papers)
    }
    (folder / "ori_pqal.json").write_text(json.dumps(rows))
    labels = {key: row["final_decision"] for key, row in rows.items() if int(key) < tested}
    (folder / "test_ground_truth.json").write_text(json.dumps(labels))
    return folder / "ori_pqal.json"


def write_arc(path: Path, *, prefix: str = "q", questions: int = 24) -> Path:
    """Every fourth question has three choices, labelled 1 to 3."""
    lines: list[str] = []
    for number in range(questions):
        labels = "123" if number % 4 == 0 else "ABCD"
        choices = [{"text": f"answer {label} of {number}", "label": label} for label in labels]
        row = {
            "id": f"{prefix}{number}",
            "question": {"stem": f"What is {number}?", "choices": choices},
            "answerKey": labels[number % 3],
        }
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n")
    return path


def _write_mmlu(folder: Path) -> Path:
    for part in ("dev", "val", "test"):
        (folder / part).mkdir(parents=True)
        lines = [
            f"Question {number} of {part}?,a,b,c,d,{'ABCD'[number % 4]}" for number in range(8)
        ]
        (folder / part / f"anatomy_{part}.csv").write_text("\n".join(lines) + "\n")
    return folder


def _write_hellaswag(path: Path, *, first: int) -> Path:
    rows = [
        {
            "ind": number,
            "activity_label": "Sailing",
            "ctx_a": f"A boat is at {number}.",
            "ctx_b": "then it",
            "endings": ["sinks.", "sails on.", "stops. [step]", "turns."],
            "label": number % 4,
        }
        for number in range(first, first + 8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _write_truthfulqa(path: Path, name: str) -> Path:
    rows = [
        {
            "question": f"Is {number} true ({name})?",
            "mc1_targets": {"Yes.": 1, "No.": 0, "Never.": 0},
            "mc2_targets": {"Yes.": 1, "It is.": 1, "No.": 0, "Never.": 0},
        }
        for number in range(8)
    ]
    path.write_text(json.dumps(rows))
    return path
