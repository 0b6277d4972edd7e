"""The small files of conversations and questions that the shipped recipes use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parents[1] / "recipes" / "small"
CHAT = RECIPES / "chat"
LICENSE = RECIPES.parents[1] / "LICENSE"


def mixture() -> dict[str, Any]:
    """One of every task that is answered in free text, and general text."""
    written: dict[str, Any] = {"test_limit": 2, "train_limit": 4}
    return {
        "kind": "mixture",
        "parts": [
            {"kind": "chat", "train": f"{CHAT}/alpaca.jsonl", "test": f"{CHAT}/test.jsonl"}
            | written,
            {
                "kind": "text-qa",
                "train": f"{CHAT}/questions.jsonl",
                "test": f"{CHAT}/questions-test.jsonl",
            }
            | written,
            {
                "kind": "text",
                "train": f"{LICENSE}",
                "test": f"{CHAT}/../mixture.yaml",
                "window": 64,
                "overlap": 8,
                "validation": 0,
            }
            | written,
        ],
        "weights": [2, 1, 1],
        "examples": 8,
    }
