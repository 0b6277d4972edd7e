"""python -m pretraining FOLDER [--steps N] [--threads N]: train `tiny`, or go on training it."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    parser.add_argument("folder", type=Path, help="where checkpoints, log and tokenizer lie")
    parser.add_argument("--steps", type=int, default=20_000, help="train until this step")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    from pretraining.train import pretrain

    pretrain(options.folder, steps=options.steps)


if __name__ == "__main__":
    main()
