"""`tunelab reading`: the generated set as a file in the official SQuAD 2.0 format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def reading(
    to: Annotated[Path, typer.Option("--to", help="File to write (.json).")],
    split: Annotated[
        str, typer.Option("--split", help="train, test, new-entities or new-wordings.")
    ] = "train",
    questions: Annotated[int, typer.Option("--questions", min=1, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other texts.")] = 0,
) -> None:
    """Write the generated reading set, of any size, to a file that task.train accepts."""
    from tunelab.data.reading import SPLITS, generate
    from tunelab.errors import UsageError, did_you_mean
    from tunelab.records import write_atomically

    for known in SPLITS:
        if known == split:
            document = generate(known, questions=questions, seed=seed)
            write_atomically(to, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
            typer.echo(f"{questions} questions of split '{split}' with seed {seed}: {to}")
            return
    raise UsageError(f"There is no split '{split}'.", hint=did_you_mean(split, SPLITS))
