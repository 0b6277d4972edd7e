"""Training examples per second: tunelab against the usual recipe, side by side.

    python -m benchmarks.encoder_training --data SQUAD.json.gz [--row NAME ...]

Both train the same checkpoint on the same examples in the same order with the same settings, and
take turns block by block. A row's ratio counts only if the check in the same row holds; otherwise
the row says void. What is timed is whole optimiser steps as a user gets them: collation, passes,
clipping, optimiser, schedule, and the books that each keeps. Tokenising beforehand, validation and
saving are not in it. The first block of each warms up and is not timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.alternation import alternate
from benchmarks.checks import Check, PerStep, Verdict, WithinNoise, judge
from benchmarks.goals import Goal, at_least
from benchmarks.sides import Work, tunelab_side, usual_side
from benchmarks.spread import losses, rates, spread
from tunelab.data import read_squad
from tunelab.recipe import Model, Training

SEED = 0
BATCH = 16
USUAL, OURS = "usual recipe", "tunelab"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    model: Model
    ignore_padding: bool
    """Whether the usual recipe's loss leaves padding out of its softmax, as tunelab's does."""
    check: Check
    wanted: float | None
    """The ratio that was set as the goal."""
    blocks: int
    """Turns of each side, the first of which warms up."""
    steps: int
    """Optimiser steps a turn."""


ROWS: dict[str, Row] = {
    "bf16, dropout 0.1, the usual loss": Row(
        Model(dtype="bf16"),
        ignore_padding=False,
        check=WithinNoise(resolution=0.1),
        wanted=2.0,
        blocks=10,
        steps=8,
    ),
    "bf16, dropout 0.1, one loss": Row(
        Model(dtype="bf16"),
        ignore_padding=True,
        check=WithinNoise(resolution=0.1),
        wanted=None,
        blocks=6,
        steps=8,
    ),
    "f32, dropout 0, one loss": Row(
        Model(dtype="f32", dropout=0.0),
        ignore_padding=True,
        check=PerStep(tolerance=1e-3),
        wanted=None,
        blocks=4,
        steps=4,
    ),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison found."""

    name: str
    wanted: float | None
    usual: list[float]
    """Examples per second of each timed block."""
    ours: list[float]
    """Likewise."""
    verdict: Verdict

    @property
    def ratios(self) -> list[float]:
        """tunelab's rate over the usual recipe's, block by block: both see the same examples."""
        return [b / a for a, b in zip(self.usual, self.ours, strict=True)]


def compare(name: str, row: Row, data: Path, *, told: Callable[[str], None]) -> Result:
    """Run one comparison on examples drawn at random from a SQuAD file."""
    steps = (
        row.blocks * row.steps + 1
    )  # the last is never timed: a side sleeps when blocks are done
    everything = read_squad(data)
    drawn = np.random.default_rng(SEED).choice(len(everything), steps * BATCH, replace=False)
    work = Work(
        examples=[everything[index] for index in drawn.tolist()],
        model=row.model,
        training=Training(epochs=1, batch_size=BATCH, warmup=0, checkpoint_steps=steps),
        seed=SEED,
    )
    blocks = alternate(
        {
            USUAL: partial(usual_side, work=work, ignore_padding=row.ignore_padding),
            OURS: partial(tunelab_side, work=work),
        },
        blocks=row.blocks,
        steps=row.steps,
        told=lambda what: told(f"{name}: {what}"),
    )
    verdict = judge(row.check, losses(blocks[USUAL]), losses(blocks[OURS]))
    usual, ours = (rates(blocks[side], BATCH) for side in (USUAL, OURS))
    return Result(name, row.wanted, usual, ours, verdict)


def table(results: Sequence[Result]) -> str:
    """The results in markdown; a row whose check did not hold is void."""
    lines = [
        f"| training | {USUAL}, examples/s | {OURS}, examples/s | ratio | same training? |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results:
        ratio = spread(result.ratios, 2) if result.verdict.held else "void"
        answer = "yes" if result.verdict.held else "NO"
        lines.append(
            f"| {result.name} | {spread(result.usual, 1)} | {spread(result.ours, 1)} "
            f"| {ratio} | {answer}: {result.verdict.found} |"
        )
    return "\n".join(lines)


def goals(results: Sequence[Result]) -> list[Goal]:
    """A ratio a row."""
    return [
        at_least(
            f"training MiniLM, {result.name}, against {USUAL}",
            result.ratios,
            result.wanted,
            same=result.verdict.held,
        )
        for result in results
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for and print the table; exit code 1 if one is void."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder_training")
    parser.add_argument("--data", type=Path, required=True, help="a SQuAD 1.1 training file")
    parser.add_argument("--row", choices=ROWS, action="append", help="all if left out")
    parser.add_argument("--blocks", type=int, help="turns of each side, instead of a row's own")
    parser.add_argument("--steps", type=int, help="optimiser steps a turn, likewise")
    parser.add_argument("--model", default="minilm", help="checkpoint, as in a recipe")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    for name in options.row or ROWS:
        row = ROWS[name]
        chosen = replace(
            row,
            model=row.model.model_copy(update={"path": options.model}),
            blocks=options.blocks or row.blocks,
            steps=options.steps or row.steps,
        )
        results.append(
            compare(name, chosen, options.data, told=lambda what: print(what, file=sys.stderr))
        )
    print(table(results))
    sys.exit(not all(result.verdict.held for result in results))


if __name__ == "__main__":
    main()
