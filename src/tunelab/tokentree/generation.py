"""Generation on a token tree: prompts that share their beginnings are answered together.

    prompts --packing--> trees --one forward pass--> leaves --one pass per token--> answers

All answers of a tree are decoded side by side, each until it ends by itself; see `growth` for how,
and `decoding` for the settings. What comes out is what each prompt alone would be answered with, up
to rounding. Nothing here knows what an answer means.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import assert_never

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.errors import DataError
from tunelab.models.virtual import VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.attention import can_share
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
from tunelab.tokentree.growth import GrowingTree, SeparateBranches
from tunelab.tokentree.head import evaluating
from tunelab.tokentree.packing import one_by_one, pack
from tunelab.tokentree.single import SingleSearch


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    virtual: VirtualTokens | None = None,
    constraint: Constraint | None = None,
    forced_start: Sequence[int] = (),
    share: bool = True,
    tokens_per_pass: int,
    advance: Callable[[int], object],
) -> list[Generated]:
    """Continue every prompt, in the order given.

    Args:
        model: the transformers model at the bottom, with whatever a method put into it.
        tokenizer: its tokenizer, for texts.
        prompts: the tokens of each, beginning-of-sequence included where there is one.
        decoding: how, and when to stop.
        virtual: what prompt or prefix tuning puts in front of every prompt.
        constraint: what the answers may be; it begins behind the forced start.
        forced_start: what every answer begins with, given to the model as the end of the prompt.
        share: read prompts together. Not done, whatever is said here, with a model whose
            attention cannot express a tree.
        tokens_per_pass: prompts are answered together while their tree has at most so many tokens.
        advance: called with the number of prompts that have just been answered.

    Raises:
        DataError: a prompt is empty, or leaves no room in the model's context.
        ModelError: the model keeps what it has read in a way of its own.
    """
    begun = [(*prompt, *forced_start) for prompt in prompts]
    rooms = _rooms(model, begun, decoding, virtual_tokens=0 if virtual is None else len(virtual))
    streams = _streams(begun, decoding)
    endings = Endings(tokenizer, decoding, forced_start=forced_start)
    examples = [EncodedExample(ids, (False,) * len(ids)) for ids in begun]
    share = share and can_share(model) is None
    rows = pack(examples, tokens_per_pass=tokens_per_pass) if share else one_by_one(examples)
    results: dict[int, Generated] = {}
    with evaluating(model):
        for row in rows:
            members = [row.examples[each] for each in row.tree.leaves.argsort(kind="stable")]
            hypotheses = [
                Hypothesis(
                    index, rooms[index], constraint.begin(index) if constraint is not None else None
                )
                for index in members
            ]
            search = _search(hypotheses, decoding, endings, [streams[index] for index in members])
            if share:
                branches = GrowingTree(model, row.tree, virtual=virtual)
            else:
                branches = SeparateBranches(model, begun[members[0]], virtual=virtual)
            logits = branches.begin()
            while True:
                growth, ended = search.extend(logits)
                for hypothesis, finish in ended:
                    results[hypothesis.prompt] = endings.generated(hypothesis, finish)
                advance(len(ended))
                if not growth.tokens:
                    break
                logits = branches.grow(growth)
    return [results[index] for index in range(len(prompts))]


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


def _rooms(
    model: PreTrainedModel,
    begun: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    virtual_tokens: int,
) -> list[int]:
    """How many tokens each answer may have: no more than the model has positions left."""
    config = model.config.get_text_config()
    name = config.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    positions = config.to_dict().get(name)
    rooms: list[int] = []
    for index, ids in enumerate(begun):
        room = decoding.max_new_tokens
        if positions is not None:
            room = min(room, positions - virtual_tokens - len(ids))
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
