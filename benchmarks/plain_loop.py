"""A plain fine-tuning loop written in the usual way: the yardstick of quality for full tuning.

    python -m benchmarks.plain_loop recipes/distilbert-squad.yaml [--epochs 3] [--to FILE]

It trains on the recipe's training questions and answers its test questions, so that `tunelab score`
and the runs of that recipe can be held against it question by question.

Batches of 16 rows in random order, each padded to its longest; AdamW, a linear decay from the peak
rate, bf16 autocast; spans read off as transformers' example does; the official SQuAD 1.1 metric.
It shares no training or prediction code with tunelab, only the choice of questions and the metric.
About 2 s a step on two cores, so 25 minutes in full.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    get_linear_schedule_with_warmup,
)

from benchmarks.usual_features import Feature, collate, make_features
from tunelab.data import Example, load_squad
from tunelab.metrics import score_squad
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.recipe import SquadTask, read_recipe

N_BEST = 20
MAX_ANSWER_TOKENS = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and rates."""

    epochs: int
    batch_size: int
    """Rows, not questions, of one optimiser step."""
    learning_rate: float
    bf16: bool
    pad_id: int


def train(model: PreTrainedModel, features: Sequence[Feature], plan: Plan) -> None:
    """Train in place; the loss is the model's own."""
    steps_per_epoch = -(-len(features) // plan.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, plan.epochs * steps_per_epoch)
    model.train()
    for epoch in range(plan.epochs):
        order = random.sample(features, len(features))
        losses: list[float] = []
        for begin in range(0, len(order), plan.batch_size):
            batch = collate(order[begin : begin + plan.batch_size], pad_id=plan.pad_id)
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
                loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            if len(losses) % 50 == 0 or len(losses) == steps_per_epoch:
                recent = sum(losses[-50:]) / len(losses[-50:])
                _tell(f"epoch {epoch + 1}: step {len(losses)} of {steps_per_epoch}, {recent:.3f}")


@torch.no_grad()
def answer(
    model: PreTrainedModel, examples: Sequence[Example], features: Sequence[Feature], plan: Plan
) -> dict[str, str]:
    """The best span of each question, over all its rows."""
    model.eval()
    candidates: dict[int, list[tuple[float, str]]] = {}
    for begin in range(0, len(features), plan.batch_size):
        rows = features[begin : begin + plan.batch_size]
        batch = collate(rows, pad_id=plan.pad_id)
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
            output = model(**batch)
        starts, ends = output.start_logits.float().tolist(), output.end_logits.float().tolist()
        for row, start, end in zip(rows, starts, ends, strict=True):
            found = _spans(row, examples[row.example].context, start, end)
            candidates.setdefault(row.example, []).extend(found)
    return {
        examples[index].id: max(spans, default=(0.0, ""))[1] for index, spans in candidates.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, answer, score, and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_loop")
    parser.add_argument("recipe", type=Path, help="whose questions are taken")
    parser.add_argument("overrides", nargs="*", help="key.path=value, as for tunelab run")
    parser.add_argument("--to", type=Path, help="file for the answers: {id: text}")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16, help="rows a step")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="the peak")
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    parser.add_argument("--model", default="minilm", help="checkpoint, as in a recipe")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    random.seed(options.seed)
    torch.manual_seed(options.seed)
    task = read_recipe(options.recipe, options.overrides).task
    assert isinstance(task, SquadTask)
    data = load_squad(task)
    train_set, test_set = data.train, data.test
    checkpoint = resolve_checkpoint(options.model)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForQuestionAnswering.from_pretrained(checkpoint, dtype=torch.float32)
    plan = Plan(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        bf16=options.dtype == "bf16",
        pad_id=_pad_id(tokenizer),
    )
    began = time.perf_counter()
    train(model, make_features(train_set, tokenizer, pad_to_max=False), plan)
    trained = time.perf_counter()
    test_rows = make_features(test_set, tokenizer, pad_to_max=False)
    answers = answer(model, test_set, test_rows, plan)
    scored = score_squad({e.id: e.gold for e in test_set}, answers, version="1.1")
    if options.to is not None:
        options.to.write_text(json.dumps(answers))
    document = {
        "settings": {name: str(value) for name, value in vars(options).items() if name != "to"},
        "scores": scored.figures(),
        "questions": {"train": len(train_set), "test": len(test_set)},
        "seconds": {"training": trained - began, "answering": time.perf_counter() - trained},
    }
    print(json.dumps(document, indent=2))


def _spans(
    row: Feature, context: str, starts: Sequence[float], ends: Sequence[float]
) -> list[tuple[float, str]]:
    """Scores and texts of the spans between the best starts and the best ends of a row."""
    tokens = [i for i, offsets in enumerate(row.offsets) if offsets is not None]
    found: list[tuple[float, str]] = []
    for start in sorted(tokens, key=lambda i: starts[i], reverse=True)[:N_BEST]:
        for end in sorted(tokens, key=lambda i: ends[i], reverse=True)[:N_BEST]:
            if start <= end < start + MAX_ANSWER_TOKENS:
                first, last = row.offsets[start], row.offsets[end]
                assert first is not None
                assert last is not None
                found.append((starts[start] + ends[end], context[first[0] : last[1]]))
    return found


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    pad_id = tokenizer.convert_tokens_to_ids(str(tokenizer.pad_token))
    assert isinstance(pad_id, int)
    return pad_id


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
