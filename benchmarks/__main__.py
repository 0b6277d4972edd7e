"""`make bench`: the speed figures that docs/results quotes, with hardware, versions and command.

python -m benchmarks [--part NAME ...] [--data FOLDER] [--out FOLDER] [--blocks N] [--steps N]

A part that is measured is kept in the folder and not measured again by the same code on the same
machine, so that the whole can be made in several goes; `--again` measures it anew. A part that
fails is told and leaves the others alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
from benchmarks.goals import Outcome
from benchmarks.page import Part, conditions, kept, page


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    squad: Path
    """Folder of SQuAD files."""
    blocks: int | None
    steps: int | None


def commands(asked: Asked) -> Outcome:
    """Seconds of whole commands."""
    return command_line.measure(asked.squad.parent)


def large_study(_asked: Asked) -> Outcome:
    """Time and memory of a report."""
    return reports.report(runs=40, items=11_873)


def thousand_runs(_asked: Asked) -> Outcome:
    """The same of a study that many machines made."""
    return reports.report(runs=1000, items=10_000, seeds=20)


def several_devices(_asked: Asked) -> Outcome:
    """Two processes against one, and what Ray adds to a run."""
    return devices.measure()


def encoders(asked: Asked) -> Outcome:
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
    return Outcome(
        encoder_training.table(results),
        all(result.verdict.held for result in results),
        encoder_training.goals(results),
    )


def decoders(asked: Asked) -> Outcome:
    """Training of decoders against TRL."""
    results = decoder_training.run(
        asked.squad / "train-v2.0.head.json.gz",
        list(decoder_training.ROWS),
        blocks=asked.blocks,
        steps=asked.steps,
        size=generation.Size(),
        told=_tell,
    )
    return Outcome(
        decoder_training.table(results),
        all(result.held for result in results),
        decoder_training.goals(results),
    )


def answers(asked: Asked) -> Outcome:
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
    return Outcome(
        generation.table(results),
        not any(result.wrong for result in results),
        generation.goals(results),
    )


def lm_eval(asked: Asked) -> Outcome:
    """lm-eval's requests, against its own `hf` model."""
    results = lm_eval_speed.run(asked.squad.parent, list(lm_eval_speed.ROWS), told=_tell)
    return Outcome(
        lm_eval_speed.table(results),
        all(result.equality.held for result in results),
        lm_eval_speed.goals(results),
    )


def serve(asked: Asked) -> Outcome:
    """A server with many clients at once, against one after the other."""
    load = serving.run(rounds=asked.blocks or serving.ROUNDS)
    return Outcome(serving.table(load), load.equal, [serving.goal(load)])


def visited(_asked: Asked) -> Outcome:
    """The web app: its first page, and questions."""
    rows = app.both()
    return Outcome(app.table(rows), all(row.equal for row in rows), app.goals(rows))


def quantised(asked: Asked) -> Outcome:
    """What precisions and methods cost."""
    found = precisions.run(
        asked.squad / "train-v2.0.head.json.gz",
        precisions.ROWS,
        blocks=asked.blocks or precisions.BLOCKS,
        steps=asked.steps or precisions.STEPS,
        size=generation.Size(),
        told=_tell,
    )
    return Outcome(precisions.table(*found), True, [])


def runs(_asked: Asked) -> Outcome:
    """What a further run of a grid takes besides training and answering."""
    return overhead.measure()


def step(asked: Asked) -> Outcome:
    """How much of the machine a training step uses."""
    return step_profile.shares_of_peak(asked.squad / "train-v2.0.head.json.gz")


def plans(asked: Asked) -> Outcome:
    """Predicted memory and time against measured runs."""
    return planning.compare(asked.squad, told=_tell)


PARTS: dict[str, Callable[[Asked], Outcome]] = {
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
    "app": visited,
    "overhead": runs,
    "step": step,
    "plan": plans,
}


def main() -> None:
    """Print the page; exit code 1 if a part failed, a comparison is void, or a goal is missed."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part")
    parser.add_argument("--data", type=Path, default=os.environ.get("TUNELAB_DATA", beside))
    parser.add_argument("--out", type=Path, help="keep what is measured here, and go on from it")
    parser.add_argument("--again", action="store_true", help="measure what is kept anew")
    parser.add_argument("--blocks", type=int, help="turns of each side, instead of a row's own")
    parser.add_argument("--steps", type=int, help="optimiser steps a turn, likewise")
    options = parser.parse_args()
    asked = Asked(options.data / "squad", options.blocks, options.steps)
    if not asked.squad.exists():
        sys.exit(f"The benchmarks need {asked.squad}: set TUNELAB_DATA to the folder around it.")
    parts: list[Part] = []
    failed: dict[str, str] = {}
    for name in options.part or PARTS:
        command = _command(name, asked)
        part = None if options.again else kept(options.out, name, command)
        if part is None:
            _tell(f"== {name}: {PARTS[name].__doc__}")
            before = conditions()
            try:
                part = Part(name, PARTS[name].__doc__ or "", command, before, PARTS[name](asked))
            except Exception as error:  # noqa: BLE001 - one part's trouble is not the others'
                traceback.print_exc()
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
                continue
            if options.out is not None:
                part.write(options.out)
        parts.append(part)
    print(page(parts, failed))
    outcomes = [part.outcome for part in parts]
    reached = all(goal.reached for outcome in outcomes for goal in outcome.goals)
    sys.exit(bool(failed) or not reached or not all(outcome.held for outcome in outcomes))


def _command(part: str, asked: Asked) -> str:
    """That measures one part as it is measured now."""
    given = [
        f" --{name} {value}"
        for name, value in (("blocks", asked.blocks), ("steps", asked.steps))
        if value
    ]
    return f"python -m benchmarks --part {part}{''.join(given)}"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
