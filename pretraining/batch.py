"""Token trees as rectangles for a forward pass, and the loss at their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaForCausalLM

from pretraining.looking import HEADS, Lookout, Station
from tunelab.models.precision import has_bfloat16
from tunelab.tokentree.tree import NO_PARENT

# Shapes: B trees of a pass, N tokens of its longest, T targets.


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Trees side by side, padded on the right."""

    tokens: Tensor
    """(B, N) int64."""
    positions: Tensor
    """(B, N) int64."""
    mask: Tensor
    """(B, 1, N, N) float32, added to the attention scores."""
    before: Tensor
    """(T,) place, in the flattened rectangle, of the token before each target."""
    targets: Tensor
    """(T,) the target tokens."""
    weights: Tensor
    """(T,) of each target in the loss."""
    firsts: Tensor
    """(T,) whether a target is the first token of an answer."""
    looks: dict[Station, Looks]


@dataclass(frozen=True, slots=True)
class Looks:
    """What some tokens should look at: G queries, K of their keys in all."""

    rows: Tensor
    """(K,) the tree of each key."""
    queries: Tensor
    """(K,) the place of the query that should look at it."""
    keys: Tensor
    """(K,) its own place."""
    which: Tensor
    """(K,) which of the queries that is, 0 to G - 1."""


def cut(trees: Sequence[Lookout], *, tokens: int) -> list[list[Lookout]]:
    """Trees of like size together, at most so many tokens with padding."""
    passes: list[list[Lookout]] = []
    longest = 0
    for tree in sorted(trees, key=len, reverse=True):
        if passes and (len(passes[-1]) + 1) * longest <= tokens:
            passes[-1].append(tree)
        else:
            passes.append([tree])
            longest = len(tree)
    return passes


def lay_out(
    trees: Sequence[Lookout], *, pad: int, text_share: float, text_weight: float, seed: int
) -> Rectangle:
    """Pad trees to a rectangle.

    Args:
        text_share: share of the other tokens that are learned too.
        text_weight: their weight in the loss, for each.
        seed: which of them.
    """
    longest = max(len(tree) for tree in trees)
    shape = (len(trees), longest)
    tokens = np.full(shape, pad)
    positions = np.zeros(shape, dtype=np.int64)
    ends = np.tile(np.arange(1, longest + 1), (len(trees), 1))
    before: list[np.ndarray] = []
    places: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    firsts: list[np.ndarray] = []
    chance = np.random.default_rng(seed)
    for row, lookout in enumerate(trees):
        tree, size = lookout.tree, len(lookout)
        tokens[row, :size] = tree.tokens
        positions[row, :size] = tree.positions
        ends[row, :size] = tree.ends
        weight = tree.weights.astype(np.float64)
        weight[(weight == 0) & (chance.random(size) < text_share)] = text_weight
        chosen = np.flatnonzero((weight > 0) & (tree.parents != NO_PARENT))
        first = (tree.weights > 0) & (tree.weights[tree.parents] == 0)
        before.append(tree.parents[chosen] + row * longest)
        places.append(tree.tokens[chosen])
        weights.append(weight[chosen])
        firsts.append(first[chosen])
    place = np.arange(longest)
    seen = (place[None, None, :] <= place[None, :, None]) & (
        place[None, :, None] < ends[:, None, :]
    )
    mask = np.where(seen, 0.0, np.finfo(np.float32).min).astype(np.float32)
    return Rectangle(
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        mask=torch.from_numpy(mask)[:, None],
        before=torch.from_numpy(np.concatenate(before)),
        targets=torch.from_numpy(np.concatenate(places)),
        weights=torch.from_numpy(np.concatenate(weights)).float(),
        firsts=torch.from_numpy(np.concatenate(firsts)),
        looks=_looks(trees),
    )


def _looks(trees: Sequence[Lookout]) -> dict[Station, Looks]:
    found: dict[Station, list[tuple[int, int, int, int]]] = {}
    for row, lookout in enumerate(trees):
        for one in lookout.looks:
            rows = found.setdefault(one.station, [])
            for query in one.queries:
                which = rows[-1][3] + 1 if rows else 0
                rows += [(row, query, key, which) for key in one.keys]
    return {station: Looks(*torch.tensor(rows).unbind(1)) for station, rows in found.items()}


@dataclass(frozen=True, slots=True)
class Learned:
    """What a pass yields."""

    losses: Tensor
    """(T,) float32 cross-entropy of every target."""
    right: Tensor
    """(T,) whether a target is the likeliest token."""
    looking: Tensor
    """Scalar: minus the log of the attention that falls where it should, summed over G queries."""


def losses(model: LlamaForCausalLM, rows: Rectangle, *, guided: bool = False) -> Learned:
    """Read the rectangle.

    Args:
        guided: whether heads are told where to look.
    """
    fast = has_bfloat16()  # without its instructions it is the slow one
    with torch.autocast("cpu", torch.bfloat16, enabled=fast):
        read = model.model(
            input_ids=rows.tokens,
            attention_mask=rows.mask.to(torch.bfloat16 if fast else torch.float32),
            position_ids=rows.positions,
            use_cache=False,
            output_attentions=guided,
        )
        logits = model.lm_head(read.last_hidden_state.flatten(0, 1)[rows.before]).float()
    right = logits.detach().argmax(-1) == rows.targets
    looking = torch.zeros(())
    for station, looks in rows.looks.items() if guided else ():
        attention = read.attentions[station.layer][:, station.heads]
        seen = attention[looks.rows, :, looks.queries, looks.keys].float()
        fell = seen.new_zeros(int(looks.which[-1]) + 1, HEADS).index_add(0, looks.which, seen)
        looking = looking - (fell + 1e-4).log().mean(1).sum()
    return Learned(F.cross_entropy(logits, rows.targets, reduction="none"), right, looking)
