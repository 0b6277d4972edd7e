"""Seconds from typing a command to its end, process start included.

    python -m benchmarks.command_line --data FOLDER

FOLDER holds squad/ as `$TUNELAB_DATA` does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.goals import Goal, Outcome, at_most

PUBLISHED_F1 = 78.77776770381462
"""Of the prediction file below, by the official script (evaluate-v2.0.py)."""
HELP_SECONDS, SCORE_SECONDS = 0.5, 3.0


def seconds(command: Sequence[str], repeats: int) -> tuple[list[float], str]:
    """Wall-clock seconds of each call, and what the last one printed."""
    taken: list[float] = []
    printed = ""
    for _ in range(repeats):
        began = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken.append(time.perf_counter() - began)
    return taken, printed


def measure(data: Path) -> Outcome:
    """Whole commands; the score is checked against the published one in its row."""
    tunelab = [sys.executable, "-m", "tunelab"]
    squad = data / "squad"
    score = [
        *(*tunelab, "score", "squad_v2"),
        *("--data", str(squad / "dev-v2.0.json.gz")),
        *("--predictions", str(squad / "predictions" / "v2.0-nlnet-single.json.gz")),
    ]
    shown, _ = seconds([*tunelab, "--help"], 10)
    as_table, _ = seconds(score, 5)
    as_json, printed = seconds([*score, "--json"], 5)
    figures = json.loads(printed)["scores"]
    held = figures["f1"] == PUBLISHED_F1
    check = f"F1 equals the official script's: {'yes' if held else 'NO, void'}"
    label = f"tunelab score squad_v2, {figures['total']:,.0f} predictions"
    lines = [
        "| command | median s | range s | asked | check |",
        "| --- | ---: | ---: | ---: | --- |",
        f"| tunelab --help | {_row(shown)} | < {HELP_SECONDS:g} | |",
        f"| {label} | {_row(as_table)} | < {SCORE_SECONDS:g} | |",
        f"| {label}, --json | {_row(as_json)} | < {SCORE_SECONDS:g} | {check} |",
    ]
    goals: list[Goal] = [
        at_most("tunelab --help", shown, HELP_SECONDS, "s"),
        at_most(label, as_table, SCORE_SECONDS, "s"),
    ]
    return Outcome("\n".join(lines), held, goals)


def _row(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.2f} | {min(taken):.2f} to {max(taken):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command_line")
    parser.add_argument("--data", type=Path, required=True)
    print(measure(parser.parse_args().data).table)
