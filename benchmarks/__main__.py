"""`make bench`: the speed figures that docs/results quotes, with hardware, versions and command.

python -m benchmarks [--data FOLDER] [--blocks N] [--steps N]
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import command_line, encoder_training, generation
from tunelab.runs.environment import hardware, versions


def main() -> None:
    """Print every table; exit code 1 if a row is void."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--data", type=Path, default=os.environ.get("TUNELAB_DATA", beside))
    parser.add_argument("--blocks", type=int, help="turns of each side, instead of a row's own")
    parser.add_argument("--steps", type=int, help="optimiser steps a turn, likewise")
    options = parser.parse_args()
    train = options.data / "squad" / "train-v1.1.head.json.gz"
    if not train.exists():
        sys.exit(f"The benchmarks need {train}: set TUNELAB_DATA to the folder of real data sets.")
    given = [
        f"--{name} {value}" for name, value in vars(options).items() if name != "data" and value
    ]
    load = os.getloadavg()[0]  # a busy machine makes the figures noise, so the page tells
    print(f"Command: `{' '.join(['python -m benchmarks', *given])}`\n")
    print(
        f"Hardware: {', '.join(hardware().values())}, {torch.get_num_threads()} threads, "
        f"load {load:.1f} before the start\n"
    )
    print(f"Versions: {', '.join(f'{name} {found}' for name, found in versions().items())}\n")
    print(command_line.table(options.data) + "\n", flush=True)
    results = [
        encoder_training.compare(
            name,
            replace(row, blocks=options.blocks or row.blocks, steps=options.steps or row.steps),
            train,
            told=lambda what: print(what, file=sys.stderr),
        )
        for name, row in encoder_training.ROWS.items()
    ]
    print(encoder_training.table(results) + "\n", flush=True)
    answered = [
        generation.compare(
            name,
            prompt,
            options.data / "squad" / "dev-v2.0.json.gz",
            size=generation.Size(),
            questions=generation.QUESTIONS,
            blocks=options.blocks or generation.BLOCKS,
            told=lambda what: print(what, file=sys.stderr),
        )
        for name, prompt in generation.ROWS.items()
    ]
    print(generation.table(answered))
    void = any(result.wrong for result in answered)
    sys.exit(void or not all(result.verdict.held for result in results))


if __name__ == "__main__":
    main()
