"""A decoder reads a tree: log-probabilities of its targets.

One forward pass reads a tree, each shared prefix once. A tree that is a chain, as that of a single
sequence, is read without a mask and without given positions: in the way transformers itself reads
a sequence. So trees of one sequence each are the plain path to compare with, and what a model reads
whose attention cannot express a tree.

Logits are computed at the parents of targets only and in chunks, which the backward pass computes
again: memory does not grow with vocabulary x length. Losses of a router (mixtures of experts) take
no part: they count a shared token once, so that sharing would change them. Prefixes are shared
whatever the dropout, but then all branches of a prefix see the same draw of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tunelab.errors import ModelError, TuningError
from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.attention import Row, attention_masks, can_share, lay_out
from tunelab.tokentree.blocks import tree_attention
from tunelab.tokentree.head import proven_head
from tunelab.tokentree.packing import PackedTree, one_by_one, pack
from tunelab.tokentree.tree import TokenTree

CHUNK = 256
"""Targets whose logits are held at a time."""

# Shapes: N tokens of a tree, T of them targets, E sequences, V virtual tokens, H hidden width.


class SequenceScores(NamedTuple):
    """How likely whole answers are."""

    log_probs: Tensor
    """(E,) float32: sums over the targets of each sequence, in the order of `tree.leaves`."""
    counts: Tensor
    """(E,) int64: how many targets each sequence has."""


def readable_rows(
    model: PreTrainedModel,
    examples: Sequence[EncodedExample],
    *,
    share: bool,
    tokens_per_pass: int,
) -> list[PackedTree]:
    """Examples laid out so that the model can read them.

    Args:
        model: the transformers model at the bottom.
        examples: any number, in any order.
        share: read together what they have in common. Not done, whatever is said here, with a
            model whose attention cannot express a tree.
        tokens_per_pass: tokens of a row at most; a longer example is a row of its own.
    """
    if share and can_share(model) is None:
        return pack(examples, tokens_per_pass=tokens_per_pass)
    return one_by_one(examples)


def target_log_probs(
    model: PreTrainedModel,
    tree: TokenTree,
    *,
    virtual: VirtualTokens | None = None,
    chunk: int = CHUNK,
    by_blocks: bool = True,
) -> Tensor:
    """Log-probability of every target given the tokens before it in its sequences.

    Args:
        model: the transformers model at the bottom, with whatever a method put into it.
        tree: with at least one target.
        virtual: what prompt or prefix tuning puts in front.
        chunk: targets whose logits are held at a time.
        by_blocks: on a CPU, each block of a row looks at its own keys alone.

    Returns:
        (T,) float32, in the order of `np.flatnonzero(tree.weights)`.

    Raises:
        ModelError: the model cannot read this tree, or computes its logits in an unknown way.
        TuningError: prefix tuning with gradient checkpointing, or more virtual and real tokens than
            the model has positions.
    """
    head = proven_head(model)
    hidden = last_hidden_states(model, tree, virtual=virtual, by_blocks=by_blocks)
    targets = np.flatnonzero(tree.weights)
    parents = hidden[torch.from_numpy(tree.parents[targets]).to(hidden.device)]
    tokens = torch.from_numpy(tree.tokens[targets]).to(hidden.device)

    def log_probs(states: Tensor, wanted: Tensor) -> Tensor:
        return -F.cross_entropy(head.logits(states), wanted, reduction="none")

    if len(targets) <= chunk:
        return log_probs(parents, tokens)
    parts = [
        checkpoint(log_probs, states, wanted, use_reentrant=False, preserve_rng_state=False)
        for states, wanted in zip(parents.split(chunk), tokens.split(chunk), strict=True)
    ]
    return torch.cat(parts)


def sequence_log_probs(
    model: PreTrainedModel,
    tree: TokenTree,
    examples: Sequence[EncodedExample],
    *,
    virtual: VirtualTokens | None = None,
    chunk: int = CHUNK,
) -> SequenceScores:
    """Log-probability of the targets of each sequence, such as the alternatives of an answer.

    Args:
        model: as for `target_log_probs`.
        tree: that of `examples`.
        examples: the sequences, in the order the tree was built from; E of them.
        virtual: as for `target_log_probs`.
        chunk: as for `target_log_probs`.

    Raises:
        ModelError, TuningError: as for `target_log_probs`.
    """
    found = target_log_probs(model, tree, virtual=virtual, chunk=chunk)
    index = np.cumsum(tree.weights > 0) - 1  # place -> its row in `found`
    paths = [
        index[tree.path(int(leaf))[list(example.targets)]]
        for example, leaf in zip(examples, tree.leaves, strict=True)
    ]
    counts = torch.tensor([len(path) for path in paths], device=found.device)
    owners = torch.repeat_interleave(torch.arange(len(paths), device=found.device), counts)
    values = found[torch.from_numpy(np.concatenate(paths)).to(found.device)]
    sums = torch.zeros(len(paths), device=found.device).index_add(0, owners, values)
    return SequenceScores(sums, counts)


def last_hidden_states(
    model: PreTrainedModel,
    tree: TokenTree,
    *,
    virtual: VirtualTokens | None = None,
    by_blocks: bool = True,
) -> Tensor:
    """(N, H): what the model makes of each token of a tree, virtual tokens left out.

    Raises:
        ModelError, TuningError: as for `target_log_probs`.
    """
    inputs = _inputs(model, tree, virtual)
    attention: AbstractContextManager[object] = nullcontext()
    if not _is_chain(tree):
        if reason := can_share(model):
            raise ModelError(
                f"{reason} It cannot read sequences that share a prefix.",
                hint="Set training.share_prefix=false.",
            )
        row = lay_out(tree, virtual, device=model.device)
        inputs["attention_mask"] = _masks(model, row)
        inputs["position_ids"] = row.positions[None, row.first :]
        quick = by_blocks and not model.is_gradient_checkpointing
        if model.device.type == "cpu" and quick:
            attention = tree_attention(row)  # which layers computed a second time would not meet
    with attention:
        states = model.base_model(**inputs, use_cache=False).last_hidden_state[0]
    return states[len(states) - len(tree) :]


def _inputs(
    model: PreTrainedModel, tree: TokenTree, virtual: VirtualTokens | None
) -> dict[str, Any]:
    tokens = torch.from_numpy(tree.tokens).to(model.device)[None]
    _require_positions(model, tree, virtual)
    match virtual:
        case None:
            return {"input_ids": tokens}
        case VirtualInputs(embeddings):
            words = model.get_input_embeddings()(tokens)
            rows = torch.cat((embeddings.to(words.dtype)[None], words), dim=1)
            return {"inputs_embeds": rows}
        case VirtualKeys():
            if model.is_gradient_checkpointing and model.training:
                raise TuningError(
                    "Prefix tuning does not go with gradient checkpointing: the layers of "
                    "transformers drop the prefix when they are computed a second time.",
                    hint="Turn gradient checkpointing off, or use tuning.kind=prompt.",
                )
            return {"input_ids": tokens, "past_key_values": virtual.cache()}


def _require_positions(
    model: PreTrainedModel, tree: TokenTree, virtual: VirtualTokens | None
) -> None:
    """Without virtual tokens the loading of the model has seen to it."""
    config = model.config.get_text_config().to_dict()
    limit = config.get("max_position_embeddings") or config.get("n_positions")
    longest = int(tree.positions.max()) + 1
    if virtual is not None and limit and len(virtual) + longest > limit:
        raise TuningError(
            f"{len(virtual)} virtual tokens and a sequence of {longest} tokens exceed the {limit} "
            f"positions of {type(model).__name__}.",
            hint=f"Set model.max_length={limit - len(virtual)} or lower.",
        )


def _masks(model: PreTrainedModel, row: Row) -> object:
    if model.config._attn_implementation == "flex_attention":
        from tunelab.tokentree.flex import block_masks

        return block_masks(model, row)
    queries = row.positions[row.first :]
    return attention_masks(model, row.seen, queries, row.positions, dtype=model.dtype)


def _is_chain(tree: TokenTree) -> bool:
    return bool((tree.positions == np.arange(len(tree))).all())
