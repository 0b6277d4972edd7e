"""Is it a good base? How many answers of each level of the curriculum it reads exactly, and what
full fine-tuning on `reading` for some seconds makes of it: exact match and F1.

The prompt, the trees and the greedy decoding are tunelab's; the loop is the shortest that does.
`tunelab run` with a recipe on `tiny` is the real thing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean

import numpy as np
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from pretraining.batch import cut, lay_out, losses
from pretraining.curriculum import story_tree
from pretraining.looking import Lookout, gather
from tunelab.data import Example, load_sources
from tunelab.data.reading.draw import Draw
from tunelab.metrics import answer_exact, answer_f1
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Prompt
from tunelab.tokentree.decoding import Decoding
from tunelab.tokentree.generation import generate
from tunelab.tokentree.tree import NO_PARENT

_PASS = 2048
"""Tokens of a forward pass."""
_GENERATED = 24
"""Tokens of an answer at most."""
_SHEETS = 40
"""Paragraphs that a level is measured on."""


def tune(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    *,
    seconds: float,
    rate: float,
    batch: int,
) -> tuple[int, float]:
    """Train all weights for so many seconds; returns questions seen and the last steps' loss.

    Args:
        rate: falls linearly to nothing over the time.
        batch: questions a step, in whole paragraphs.
    """
    trees = _trees(
        Prompter(tokenizer, Prompt()), load_sources(["reading"], part="train", version="1.1")
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.97), weight_decay=0.0, fused=True
    )
    model.set_attn_implementation("eager")
    model.train()
    seen, recent = 0, 0.0
    began = time.perf_counter()
    chosen = _forever(trees)
    while (gone := (time.perf_counter() - began) / seconds) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0 - gone, 20 * gone + 0.02)
        step: list[Lookout] = []
        while sum(len(one.tree.leaves) for one in step) < batch:
            step.append(next(chosen))
        targets = sum(int(one.tree.weights.sum()) for one in step)
        loss = 0.0
        for part in cut(step, tokens=_PASS):
            rows = lay_out(part, pad=0, text_share=0.0, text_weight=0.0, seed=0)
            mean = (losses(model, rows).losses * rows.weights).sum() / targets
            mean.backward()
            loss += mean.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += sum(len(one.tree.leaves) for one in step)
        recent = loss if recent == 0.0 else 0.9 * recent + 0.1 * loss
    return seen, recent


def score(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, *, split: str, questions: int
) -> tuple[float, float]:
    """Exact match and F1, in percent, of greedy answers to the first questions of a split."""
    examples = load_sources([f"reading/{split}"], part="test", version="1.1")[:questions]
    prompter = Prompter(tokenizer, Prompt())
    model.eval()
    answers = generate(
        model,
        tokenizer,
        prompter.prompts_of(examples),
        Decoding(
            max_new_tokens=_GENERATED,
            stop_ids=prompter.stop_ids,
            stop_texts=prompter.stop_texts,
        ),
        tokens_per_pass=_PASS,
        advance=lambda _: None,
    )
    said = [answer.text.strip() for answer in answers]
    pairs = list(zip(said, (example.gold for example in examples), strict=True))
    exact = fmean(answer_exact(text, gold, version="1.1") for text, gold in pairs)
    f1 = fmean(answer_f1(text, gold, version="1.1") for text, gold in pairs)
    return 100 * exact, 100 * f1


@torch.no_grad()
def read_exactly(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, *, level: int
) -> tuple[int, int]:
    """Answers of a level of the curriculum with all tokens right, of so many.

    Every token is predicted behind the right ones before it.
    """
    draw = Draw(f"levels {level}")
    right = asked = 0
    model.eval()
    for _ in range(_SHEETS):
        told = story_tree(draw, level=level, tokenizer=tokenizer)
        rows = lay_out([told], pad=0, text_share=0.0, text_weight=0.0, seed=0)
        hit = losses(model, rows).right
        tree = told.tree
        place = np.flatnonzero((tree.weights > 0) & (tree.parents != NO_PARENT))
        wrong = set(place[~hit.numpy()].tolist())
        for leaf in tree.leaves.tolist():
            right += not wrong.intersection(tree.path(leaf).tolist())
            asked += 1
    return right, asked


def _trees(prompter: Prompter, examples: Sequence[Example]) -> list[Lookout]:
    """A tree a paragraph."""
    return [
        gather([(prompter.encode(example), ()) for example in members])
        for _, members in groupby(examples, key=lambda example: example.group)
    ]


def _forever(trees: Sequence[Lookout]) -> Iterator[Lookout]:
    """The trees in a random order, again and again."""
    chance = random.Random(0)
    while True:
        yield from chance.sample(trees, len(trees))
