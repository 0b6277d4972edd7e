"""The yardstick for full fine-tuning: a plain loop, written in the usual way.

    python -m benchmarks.plain_loop --data FOLDER [--train 4000] [--epochs 3] [--test 1000]

Random batches of 16 padded to the longest in the batch, AdamW, peak rate 1e-4 with linear decay,
bf16 autocast, the checkpoint's own dropout, transformers' own loss; spans read off window by window
and scored by the official metric. About 2 s a step on two cores, so 25 minutes in full.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, get_scheduler

from tunelab.data import Example, read_squad
from tunelab.metrics import score_squad
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.models.encoder import Encoder
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import Model

BATCH = 16


def padded(windows: Sequence[Window]) -> dict[str, torch.Tensor]:
    """A batch as the model wants it, padded to its longest row."""
    longest = max(len(window.input_ids) for window in windows)

    def rectangle(rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    return {
        "input_ids": rectangle([window.input_ids for window in windows]),
        "token_type_ids": rectangle([window.token_type_ids for window in windows]),
        "attention_mask": rectangle([[1] * len(window.input_ids) for window in windows]),
    }


def train(encoder: Encoder, windows: list[Window], *, epochs: int) -> None:
    """Epochs of random batches."""
    model = encoder.model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    total = epochs * -(-len(windows) // BATCH)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=total)
    model.train()
    done = 0
    for _ in range(epochs):
        random.shuffle(windows)
        for first in range(0, len(windows), BATCH):
            rows = windows[first : first + BATCH]
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(
                    **padded(rows),
                    start_positions=torch.tensor([window.target[0] for window in rows]),
                    end_positions=torch.tensor([window.target[1] for window in rows]),
                ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            if done % 10 == 0:
                print(f"step {done} of {total}, loss {loss.item():.3f}", flush=True)


@torch.inference_mode()
def answers(encoder: Encoder, examples: Sequence[Example], windows: list[Window]) -> dict[str, str]:
    """The best span of each example over its windows, at most 30 tokens long."""
    best: dict[str, tuple[float, str]] = {}
    encoder.model.eval()
    for first in range(0, len(windows), BATCH):
        rows = windows[first : first + BATCH]
        output = encoder.model(**padded(rows))
        for row, window in enumerate(rows):
            begin, count = window.context_start, len(window.offsets)
            starts = output.start_logits[row, begin : begin + count]
            ends = output.end_logits[row, begin : begin + count]
            allowed = torch.ones(count, count).triu().tril(29).bool()
            scores = (starts[:, None] + ends[None, :]).masked_fill(~allowed, -torch.inf)
            s, e = divmod(int(scores.argmax()), count)
            example = examples[window.example]
            text = example.context[window.offsets[s][0] : window.offsets[e][1]]
            found = (float(scores[s, e]), text)
            best[example.id] = max(best.get(example.id, found), found)
    return {key: text for key, (_, text) in best.items()}


def main() -> None:
    """Train, answer, score, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_loop")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    source = resolve_checkpoint(options.model)
    encoder = Encoder(
        AutoModelForQuestionAnswering.from_pretrained(source),
        AutoTokenizer.from_pretrained(source),
        fresh_head=True,
    )
    settings = Model()
    squad = options.data / "squad"
    learnt = random.sample(read_squad(squad / "train-v1.1.head.json.gz"), options.train)
    asked = random.sample(read_squad(squad / "dev-v1.1.json.gz"), options.test)
    train(encoder, encode_windows(learnt, encoder.tokenizer, settings), epochs=options.epochs)
    given = answers(encoder, asked, encode_windows(asked, encoder.tokenizer, settings))
    scored = score_squad({e.id: e.gold for e in asked}, given, version="1.1")
    print({name: round(value, 2) for name, value in scored.figures().items()})


if __name__ == "__main__":
    main()
