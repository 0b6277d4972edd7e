"""Two processes against one on the same cores, and what Ray adds to a run.

    python -m benchmarks --part devices

Speed is that of training: examples a second of the optimiser steps, the first tenth left out. One
process has two threads, two have one each. Both do the same runs, in turns, on the bundled encoder
and the set `reading`: full fine-tuning, whose gradients are the largest that have to travel.
What Ray adds is what a study of short runs takes more, a run, than the runs themselves took.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checks import PerStep, Verdict, judge
from benchmarks.goals import Outcome, at_least, at_most
from tunelab.recipe import Recipe, validate
from tunelab.records import Step, find_runs
from tunelab.runs.experiment import run_experiment
from tunelab.runs.together import Asked, executor_of, present_devices

ASKED_SPEED = 0.9
ASKED_SECONDS = 3.0
TURNS = 3
RUNS = 4
"""On each core, one after the other; the first does not count."""
_WARM = 0.1


def recipe(tuning: str, *, questions: int, seeds: int) -> Recipe:
    """Short runs that answer little."""
    return validate(
        {
            "name": "devices",
            "task": {
                "version": "1.1",
                "train": "reading",
                "test": "reading",
                "train_limit": questions,
                "test_limit": 20,
                "validation": 0.02,
            },
            "model": {"path": "minilm", "max_length": 256, "stride": 64, "dropout": 0},
            "tuning": {"kind": tuning},
            "training": {
                "epochs": 1,
                "batch_size": 32,
                "schedule": "constant",
                "warmup": 0,
                "checkpoint_steps": 10_000,
                "learning_rate": 3e-5,
            },
            "grid": {"seed": list(range(seeds))},
        },
        source="the benchmark",
    )


def speed(steps: Sequence[Step]) -> float:
    """Examples a second."""
    first = int(_WARM * len(steps))
    seen = steps[-1].examples - steps[first].examples
    return seen / sum(step.seconds for step in steps[first + 1 :])


def train(processes: int) -> tuple[float, list[float]]:
    """One run, by so many processes; its speed, and the losses of its steps."""
    with tempfile.TemporaryDirectory() as folder:
        out, asked = Path(folder), Asked(processes=processes)
        study = recipe("full", questions=960, seeds=1)
        with executor_of(study, out, asked, quiet=True) as workers:
            run_experiment(study, out, quiet=True, workers=workers)
        [run] = find_runs(out)
        steps = run.read_steps()
        return speed(steps), [step.loss for step in steps]


def ray_seconds() -> float:
    """What a run takes more on a Ray cluster of this machine than it says itself.

    The first runs, one for each core, load the packages and do not count.
    """
    cores, _ = present_devices()

    def study(seeds: int) -> Recipe:
        return recipe("lora", questions=40, seeds=seeds)

    with tempfile.TemporaryDirectory() as folder:
        out, asked = Path(folder), Asked(executor="ray")
        with executor_of(study(cores), out, asked, quiet=True) as workers:
            run_experiment(study(cores), out, quiet=True, workers=workers)
            began = time.perf_counter()
            done = run_experiment(study(cores * RUNS), out, quiet=True, workers=workers)
            seconds = time.perf_counter() - began
    costs = [run.cost for run in done[cores:] if run.cost is not None]
    themselves = sum(
        cost.seconds_training + cost.seconds_evaluation + (cost.seconds_overhead or 0.0)
        for cost in costs
    )
    return (seconds * cores - themselves) / len(costs)


def measure() -> Outcome:
    """Both comparisons."""
    one: list[float] = []
    two: list[float] = []
    same: list[Verdict] = []
    for _ in range(TURNS):
        (alone, losses), (together, others) = train(1), train(2)
        one.append(alone)
        two.append(together)
        same.append(judge(PerStep(tolerance=1e-3), losses, others))
    held = all(verdict.held for verdict in same)
    shares = [b / a for a, b in zip(one, two, strict=True)]
    added = ray_seconds()
    share = statistics.median(shares)
    lines = [
        "| what | found | asked |",
        "| --- | ---: | ---: |",
        f"| one process, two threads, examples/s | {statistics.median(one):.1f} | |",
        f"| two processes, a thread each, examples/s | {statistics.median(two):.1f} | |",
        f"| two against one, median of {TURNS} turns | {share:.2f} | >= {ASKED_SPEED} |",
        f"| what Ray adds to a run, s | {added:.2f} | < {ASKED_SECONDS:g} |",
        "",
        f"Two against one, {'the same training' if held else 'VOID'}: {same[-1].found}.",
    ]
    goals = [
        at_least("two processes on two cores, against one", shares, ASKED_SPEED, same=held),
        at_most("what Ray adds to a run", [added], ASKED_SECONDS, "s"),
    ]
    return Outcome("\n".join(lines), held, goals)
