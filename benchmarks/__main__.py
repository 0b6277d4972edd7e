"""`make bench`: the speed figures that docs/results quotes, with hardware, versions and command.

python -m benchmarks [--part NAME ...] [--data FOLDER] [--blocks N] [--steps N]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks import (
    app,
    command_line,
    decoder_training,
    devices,
    encoder_training,
    generation,
    lm_eval_speed,
    overhead,
    planning,
    precisions,
    reports,
    serving,
    step_profile,
)
from tunelab.runs.environment import hardware, versions


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    squad: Path
    """Folder of SQuAD files."""
    blocks: int | None
    steps: int | None


def commands(asked: Asked) -> tuple[str, bool]:
    """Seconds of whole commands."""
    return command_line.table(asked.squad.parent), True


def large_study(_asked: Asked) -> tuple[str, bool]:
    """Time and memory of a report."""
    return reports.table(runs=40, items=11_873), True


def thousand_runs(_asked: Asked) -> tuple[str, bool]:
    """The same of a study that many machines made."""
    return reports.table(runs=1000, items=10_000, seeds=20), True


def several_devices(_asked: Asked) -> tuple[str, bool]:
    """Two processes against one, and what Ray adds to a run."""
    return devices.table()


def encoders(asked: Asked) -> tuple[str, bool]:
    """Training of encoders against the usual recipe."""
    results = [
        encoder_training.compare(
            name,
            replace(row, blocks=asked.blocks or row.blocks, steps=asked.steps or row.steps),
            asked.squad / "train-v1.1.head.json.gz",
            told=_tell,
        )
        for name, row in encoder_training.ROWS.items()
    ]
    return encoder_training.table(results), all(result.verdict.held for result in results)


def decoders(asked: Asked) -> tuple[str, bool]:
    """Training of decoders against TRL."""
    results = decoder_training.run(
        asked.squad / "train-v2.0.head.json.gz",
        list(decoder_training.ROWS),
        blocks=asked.blocks,
        steps=asked.steps,
        size=generation.Size(),
        told=_tell,
    )
    return decoder_training.table(results), all(result.held for result in results)


def answers(asked: Asked) -> tuple[str, bool]:
    """Generation against transformers' own."""
    results = [
        generation.compare(
            name,
            prompt,
            asked.squad / "dev-v2.0.json.gz",
            size=generation.Size(),
            questions=generation.QUESTIONS,
            blocks=asked.blocks or generation.BLOCKS,
            told=_tell,
        )
        for name, prompt in generation.ROWS.items()
    ]
    return generation.table(results), not any(result.wrong for result in results)


def lm_eval(asked: Asked) -> tuple[str, bool]:
    """lm-eval's requests, against its own `hf` model."""
    results = lm_eval_speed.run(asked.squad.parent, list(lm_eval_speed.ROWS), told=_tell)
    return lm_eval_speed.table(results), all(result.equality.held for result in results)


def serve(asked: Asked) -> tuple[str, bool]:
    """A server with many clients at once, against one after the other."""
    load = serving.run(rounds=asked.blocks or serving.ROUNDS)
    return serving.table(load), load.held


def page(_asked: Asked) -> tuple[str, bool]:
    """The web app: its first page, and questions."""
    rows = app.both()
    return app.table(rows), rows[0].held


def quantised(asked: Asked) -> tuple[str, bool]:
    """What precisions and methods cost."""
    found = precisions.run(
        asked.squad / "train-v2.0.head.json.gz",
        precisions.ROWS,
        blocks=asked.blocks or precisions.BLOCKS,
        steps=asked.steps or precisions.STEPS,
        size=generation.Size(),
        told=_tell,
    )
    return precisions.table(*found), True


def runs(_asked: Asked) -> tuple[str, bool]:
    """What a further run of a grid takes besides training and answering."""
    return overhead.table()


def step(asked: Asked) -> tuple[str, bool]:
    """How much of the machine a training step uses."""
    return step_profile.table(asked.squad / "train-v2.0.head.json.gz"), True


def plans(asked: Asked) -> tuple[str, bool]:
    """Predicted memory and time against measured runs."""
    return planning.table(asked.squad, told=_tell)


PARTS: dict[str, Callable[[Asked], tuple[str, bool]]] = {
    "commands": commands,
    "reports": large_study,
    "thousand-runs": thousand_runs,
    "devices": several_devices,
    "encoders": encoders,
    "decoders": decoders,
    "generation": answers,
    "lm-eval": lm_eval,
    "precisions": quantised,
    "serve": serve,
    "app": page,
    "overhead": runs,
    "step": step,
    "plan": plans,
}


def main() -> None:
    """Print the tables; exit code 1 if a row is void."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part")
    parser.add_argument("--data", type=Path, default=os.environ.get("TUNELAB_DATA", beside))
    parser.add_argument("--blocks", type=int, help="turns of each side, instead of a row's own")
    parser.add_argument("--steps", type=int, help="optimiser steps a turn, likewise")
    options = parser.parse_args()
    asked = Asked(options.data / "squad", options.blocks, options.steps)
    if not asked.squad.exists():
        sys.exit(f"The benchmarks need {asked.squad}: set TUNELAB_DATA to the folder around it.")
    given = [f"--part {part}" for part in options.part or ()]
    given += [
        f"--{name} {vars(options)[name]}" for name in ("blocks", "steps") if vars(options)[name]
    ]
    load = os.getloadavg()[0]  # a busy machine makes the figures noise, so the page tells
    print(f"Command: `{' '.join(['python -m benchmarks', *given])}`\n")
    print(
        f"Hardware: {', '.join(hardware().values())}, {torch.get_num_threads()} threads, "
        f"load {load:.1f} before the start\n"
    )
    print(f"Versions: {', '.join(f'{name} {found}' for name, found in versions().items())}\n")
    all_held = True
    for part in options.part or PARTS:
        table, held = PARTS[part](asked)
        print(table + "\n", flush=True)
        all_held = all_held and held
    sys.exit(not all_held)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
