"""Generation on a token tree: prompts that share their beginnings are answered together.

    prompts --groups--> trees --one forward pass--> leaves --one pass per token--> answers

A group is as many prompts as a pass holds, never a paragraph cut in two if the whole of it fits.
All of its answers are decoded side by side, each until it ends by itself; see `growth` for how, and
`decoding` for the settings. What comes out is what each prompt alone would be answered with, up to
rounding. Nothing here knows what an answer means.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import assert_never

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.errors import DataError
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.beams import BeamSearch
from tunelab.tokentree.decoding import (
    Beams,
    Constraint,
    Decoding,
    Generated,
    Greedy,
    Hypothesis,
    Sample,
)
from tunelab.tokentree.endings import Endings
from tunelab.tokentree.growth import GrowingTree
from tunelab.tokentree.single import SingleSearch
from tunelab.tokentree.tree import build_tree, common_prefix


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    constraint: Constraint | None = None,
    forced_start: Sequence[int] = (),
    tokens_per_pass: int,
    advance: Callable[[int], None],
) -> list[Generated]:
    """Continue every prompt, in the order given.

    Args:
        model: a decoder for which `attention.can_share` has no objection.
        tokenizer: its tokenizer, for texts.
        prompts: the tokens of each, beginning-of-sequence included where there is one.
        decoding: how, and when to stop.
        constraint: what the answers may be; it begins behind the forced start.
        forced_start: what every answer begins with, given to the model as the end of the prompt.
        tokens_per_pass: prompts are answered together while their tree has at most so many tokens.
        advance: called with the number of prompts that have just been answered.

    Raises:
        DataError: a prompt is empty, or leaves no room in the model's context.
    """
    begun = [(*prompt, *forced_start) for prompt in prompts]
    rooms = _rooms(model, begun, decoding)
    streams = _streams(begun, decoding)
    endings = Endings(tokenizer, decoding, forced_start=forced_start)
    results: dict[int, Generated] = {}
    with _evaluating(model):
        for members in group_prompts(begun, tokens_per_pass=tokens_per_pass):
            hypotheses = [
                Hypothesis(
                    index, rooms[index], constraint.begin(index) if constraint is not None else None
                )
                for index in members
            ]
            search = _search(hypotheses, decoding, endings, [streams[index] for index in members])
            tree = build_tree([EncodedExample(begun[i], (False,) * len(begun[i])) for i in members])
            growing = GrowingTree(model, tree)
            logits = growing.begin()
            while True:
                growth, ended = search.extend(logits)
                for hypothesis, finish in ended:
                    results[hypothesis.prompt] = endings.generated(hypothesis, finish)
                advance(len(ended))
                if not growth.tokens:
                    break
                logits = growing.grow(growth)
    return [results[index] for index in range(len(prompts))]


def group_prompts(prompts: Sequence[Sequence[int]], *, tokens_per_pass: int) -> list[list[int]]:
    """Indices of the prompts that are answered together, in the order of their tokens.

    A group's tree has at most `tokens_per_pass` tokens, unless a single prompt has more. Prompts
    that share half of their tokens stay together if their own tree is no larger than that.
    """
    order = sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))
    akin: list[
        tuple[int, int, list[int]]
    ] = []  # tokens shared with the prompt before; all; members
    for before, index in pairwise([None, *order]):
        assert index is not None
        length = len(prompts[index])
        shared = 0 if before is None else common_prefix(prompts[before], prompts[index])
        if akin and 2 * shared >= length:
            first, size, members = akin[-1]
            if size + length - shared <= tokens_per_pass:
                akin[-1] = (first, size + length - shared, [*members, index])
                continue
        akin.append((shared, length, [index]))
    groups: list[list[int]] = []
    total = 0
    for shared, size, members in akin:
        if groups and total + size - shared <= tokens_per_pass:
            groups[-1] += members
            total += size - shared
        else:
            groups.append(members)
            total = size
    return groups


def _search(
    hypotheses: Sequence[Hypothesis],
    decoding: Decoding,
    endings: Endings,
    streams: Sequence[random.Random],
) -> SingleSearch | BeamSearch:
    match decoding.strategy:
        case Greedy() | Sample():
            return SingleSearch(hypotheses, decoding.strategy, endings, streams=streams)
        case Beams():
            return BeamSearch(hypotheses, decoding.strategy, decoding, endings)
        case _:
            assert_never(decoding.strategy)


def _rooms(model: PreTrainedModel, begun: Sequence[Sequence[int]], decoding: Decoding) -> list[int]:
    """How many tokens each answer may have: no more than the model has positions left."""
    config = model.config.get_text_config()
    name = config.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    positions = config.to_dict().get(name)
    rooms: list[int] = []
    for index, ids in enumerate(begun):
        room = decoding.max_new_tokens
        if positions is not None:
            room = min(room, positions - len(ids))
        if not ids or room < 1:
            raise DataError(
                f"Prompt {index} has {len(ids)} tokens, and the model reads "
                f"{positions or 'any number'}: there is nothing to continue, or no room for it.",
                hint="Leave the example out, shorten its text, or choose a model that reads more.",
            )
        rooms.append(room)
    return rooms


def _streams(begun: Sequence[tuple[int, ...]], decoding: Decoding) -> list[random.Random]:
    """Random numbers for each prompt, from the seed, its tokens, and how often it came before."""
    seed = decoding.strategy.seed if isinstance(decoding.strategy, Sample) else 0
    times: Counter[tuple[int, ...]] = Counter()
    streams: list[random.Random] = []
    for ids in begun:
        drawn = f"{seed} {times[ids]} {ids}".encode()
        streams.append(random.Random(hashlib.sha256(drawn).digest()))
        times[ids] += 1
    return streams


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Dropout off, and afterwards as it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
