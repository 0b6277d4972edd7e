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

PUBLISHED_F1 = 78.77776770381462
"""Of the prediction file below, by the official script (evaluate-v2.0.py)."""


def seconds(command: Sequence[str], repeats: int) -> tuple[list[float], str]:
    """Wall-clock seconds of each call, and what the last one printed."""
    taken: list[float] = []
    printed = ""
    for _ in range(repeats):
        began = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken.append(time.perf_counter() - began)
    return taken, printed


def table(data: Path) -> str:
    """The figures in markdown; the score is checked against the published one in its row."""
    tunelab = [sys.executable, "-m", "tunelab"]
    squad = data / "squad"
    score = [
        *(*tunelab, "score", "squad_v2", "--json"),
        *("--data", str(squad / "dev-v2.0.json.gz")),
        *("--predictions", str(squad / "predictions" / "v2.0-nlnet-single.json.gz")),
    ]
    shown, _ = seconds([*tunelab, "--help"], 10)
    scored, printed = seconds(score, 5)
    equal = json.loads(printed)["scores"]["f1"] == PUBLISHED_F1
    lines = [
        "| command | median s | range s | asked | check |",
        "| --- | ---: | ---: | ---: | --- |",
        f"| tunelab --help | {_row(shown)} | < 0.5 | |",
        f"| tunelab score squad_v2, 11,873 predictions | {_row(scored)} | < 3 | "
        f"F1 equals the official script's: {'yes' if equal else 'NO, void'} |",
    ]
    return "\n".join(lines)


def _row(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.2f} | {min(taken):.2f} to {max(taken):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command_line")
    parser.add_argument("--data", type=Path, required=True)
    print(table(parser.parse_args().data))
