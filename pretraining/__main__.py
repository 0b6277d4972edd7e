"""Train `tiny`, go on training it, measure it, and put it into the package.

python -m pretraining FOLDER [--processes N] [--steps N]   from the last checkpoint in FOLDER on
python -m pretraining FOLDER --smaller MODEL               or else from a model of fewer layers
python -m pretraining FOLDER --levels                      share read exactly, by size of paragraph
python -m pretraining FOLDER --check [--seconds S]         tuned on `reading`: exact match and F1
python -m pretraining FOLDER --export                      write the model into the package
"""

from __future__ import annotations

import argparse
from pathlib import Path

_PACKAGE = Path(__file__).parents[1] / "src" / "tunelab" / "models" / "bundled" / "tiny"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where checkpoint, log and tokenizer lie")
    parser.add_argument("--processes", type=int, default=2, help="that share the work of a step")
    parser.add_argument("--steps", type=int, default=20_000, help="train until this step")
    parser.add_argument("--smaller", type=Path, help="a model of fewer layers to begin with")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--levels", action="store_true", help="measure every level")
    what.add_argument("--check", action="store_true", help="tune on `reading` and score")
    what.add_argument("--export", action="store_true", help="write the model into the package")
    parser.add_argument("--seconds", type=float, default=20.0, help="of tuning, for --check")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of tuning, for --check")
    parser.add_argument("--batch", type=int, default=24, help="questions a step, for --check")
    parser.add_argument("--questions", type=int, default=200, help="of a split, for --check")
    options = parser.parse_args()
    if options.levels:
        _levels(options.folder)
    elif options.check:
        _check(options)
    elif options.export:
        from pretraining.export import export

        export(options.folder, to=_PACKAGE)
    else:
        from pretraining.train import pretrain

        pretrain(
            options.folder,
            steps=options.steps,
            processes=options.processes,
            smaller=options.smaller,
        )


def _levels(folder: Path) -> None:
    from pretraining.check import read_exactly
    from pretraining.curriculum import LEVELS
    from pretraining.train import load_average, prepare_tokenizer

    tokenizer = prepare_tokenizer(folder)
    model, said = load_average(folder, tokenizer)
    print(f"step {said['step']}, {said['progress']}")
    print("| paragraph | answers | exactly right |\n| --- | ---: | ---: |")
    for number, size in enumerate(LEVELS):
        right, asked = read_exactly(model, tokenizer, level=number)
        told = f"{size.facts} facts of {size.entities}" if size else "as in `reading`"
        print(f"| {told} | {asked} | {100 * right / asked:.1f} % |", flush=True)


def _check(options: argparse.Namespace) -> None:
    from pretraining.check import score, tune
    from pretraining.train import load_average, prepare_tokenizer

    tokenizer = prepare_tokenizer(options.folder)
    model, said = load_average(options.folder, tokenizer)
    print(f"step {said['step']}")
    _tell("untuned, `test`", score(model, tokenizer, split="test", questions=options.questions))
    seen, loss = tune(
        model, tokenizer, seconds=options.seconds, rate=options.rate, batch=options.batch
    )
    print(f"tuned for {options.seconds:g} s on {seen} questions, loss {loss:.3f}", flush=True)
    for split in ("new-entities", "test"):
        _tell(f"`{split}`", score(model, tokenizer, split=split, questions=options.questions))


def _tell(what: str, scored: tuple[float, float]) -> None:
    print(f"{what}: EM {scored[0]:.1f} F1 {scored[1]:.1f}", flush=True)


if __name__ == "__main__":
    main()
