"""What a further run of a grid takes besides training and answering.

Short runs of the bundled encoder on the set `reading`. The first run tokenises for all; the others
load weights, prove and save, as every run does.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.goals import Outcome, at_most
from tunelab.recipe import Recipe, validate
from tunelab.runs.experiment import run_experiment

ASKED_SECONDS = 2.0
FURTHER = 3


def recipe() -> Recipe:
    """One run more than `FURTHER`, on a tenth of the training questions."""
    return validate(
        {
            "name": "overhead",
            "task": {
                "version": "1.1",
                "train": "reading",
                "test": "reading",
                "train_limit": 400,
                "test_limit": 100,
                "validation": 0.02,
            },
            "model": {"path": "minilm", "max_length": 256, "stride": 64, "dropout": 0},
            "tuning": {"kind": "lora"},
            "training": {"epochs": 1, "batch_size": 20, "schedule": "constant", "warmup": 0},
            "grid": {"seed": list(range(FURTHER + 1))},
        },
        source="the benchmark",
    )


def measure() -> Outcome:
    """Make the runs; void if one of them fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_experiment(recipe(), Path(folder), quiet=True)
    taken = [run.cost.seconds_overhead for run in done if run.cost is not None]
    seconds = [value for value in taken if value is not None]
    if len(seconds) < len(done):
        return Outcome("overhead of a run: void, a run failed", False, [])
    first, *further = seconds
    lines = [
        "| overhead of a run | s | asked |",
        "| --- | ---: | ---: |",
        f"| the first, which tokenises for all | {first:.2f} | |",
        f"| a further one, median of {len(further)} | {statistics.median(further):.2f} | "
        f"< {ASKED_SECONDS:g} |",
    ]
    goals = [at_most("overhead of a further run", further, ASKED_SECONDS, "s")]
    return Outcome("\n".join(lines), True, goals)
