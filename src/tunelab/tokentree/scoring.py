"""How likely continuations are: everything they share is read once.

What is read in which order is planned in `stems`. A stem is read as a sequence, and its keys and
values stay in a cache; each row is a tree read behind them and forgotten again. Logits are computed
only where a target is predicted, and once for all targets that follow the same tokens, such as
the letters of a multiple choice. The last token of a continuation is never read.

What comes out is what the model gives each continuation alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.attention import Row, attention_masks, can_share
from tunelab.tokentree.blocks import tree_attention
from tunelab.tokentree.cache import GrowingCache
from tunelab.tokentree.head import Head, evaluating, proven_head
from tunelab.tokentree.kept import kept_attention
from tunelab.tokentree.reading import last_hidden_states
from tunelab.tokentree.stems import Continuation, Stem, plan_stems
from tunelab.tokentree.tree import TokenTree, build_tree

CHUNK = 256
"""Places whose logits are held at a time."""
TOKENS_PER_PASS = 2048

# Shapes: N tokens of a tree, K tokens kept and read, P places, T targets, H hidden width.


class Scored(NamedTuple):
    """What a model says about a continuation."""

    log_prob: float
    """Natural logarithm of the probability of all its targets, each given what is before it."""
    greedy: bool
    """Whether each target is the most probable token at its place."""


@torch.inference_mode()
def score_continuations(
    model: PreTrainedModel,
    continuations: Sequence[Continuation],
    *,
    virtual: VirtualTokens | None = None,
    share: bool = True,
    tokens_per_pass: int = TOKENS_PER_PASS,
    advance: Callable[[int], object],
) -> list[Scored]:
    """Score every continuation, in the order given.

    Args:
        model: the transformers model at the bottom, with whatever a method put into it.
        continuations: none longer than the model reads, virtual tokens included.
        virtual: what prompt or prefix tuning puts in front of each.
        share: read them together. Not done, whatever is said here, with a model whose attention
            cannot express a tree.
        tokens_per_pass: tokens of a pass; only a sequence that is longer makes a longer one.
        advance: called with the number of continuations that have just been scored.

    Raises:
        ModelError: the model computes its logits in an unknown way.
    """
    head = proven_head(model)
    scored: dict[int, Scored] = {}

    def score(row: Sequence[int], kept: int, read: Callable[[TokenTree], Tensor]) -> None:
        chosen = [continuations[index] for index in row]
        tree = _tree([each.inputs[kept:] for each in chosen])
        scored.update(zip(row, _scores(head, read(tree), tree, chosen), strict=True))
        advance(len(row))

    with evaluating(model):
        if share and can_share(model) is None:
            walk = _Walk(model, virtual, score)
            walk.through(plan_stems(continuations, tokens_per_pass=tokens_per_pass), 0)
        else:
            for index in range(len(continuations)):
                score([index], 0, lambda tree: last_hidden_states(model, tree, virtual=virtual))
    return [scored[index] for index in range(len(continuations))]


class _Walk:
    """A model on its way through stems: the keys and values of the path are in its cache."""

    def __init__(
        self,
        model: PreTrainedModel,
        virtual: VirtualTokens | None,
        score: Callable[[Sequence[int], int, Callable[[TokenTree], Tensor]], None],
    ) -> None:
        self._model = model
        self._score = score
        self._cache = GrowingCache()
        self._kept = 0
        match virtual:
            case VirtualInputs(embeddings):
                inputs = {"inputs_embeds": embeddings.to(model.dtype)[None]}
                self._read_row(inputs, len(virtual))
            case VirtualKeys(layers):
                for index, (keys, values) in enumerate(layers):
                    self._cache.update(keys[None], values[None], index)
            case None:
                pass
        self._kept = 0 if virtual is None else len(virtual)

    def through(self, stem: Stem, depth: int) -> None:
        """Read all rows behind a stem; `depth` tokens of them are read before it."""
        before = self._kept
        if stem.tokens:
            self._read(_tree([stem.tokens]))
            self._kept += len(stem.tokens)
            depth += len(stem.tokens)
        for row in stem.rows:
            self._score(row, depth, self._read)
            self._cache.cut(self._kept)
        for longer in stem.stems:
            self.through(longer, depth)
        self._kept = before
        self._cache.cut(before)

    def _read(self, tree: TokenTree) -> Tensor:
        """(N, H): last hidden states of a tree behind what is kept."""
        kept, device = self._kept, self._model.device
        inputs = {"input_ids": torch.from_numpy(tree.tokens).to(device)[None]}
        chain = bool((tree.positions == np.arange(len(tree))).all())
        if kept == 0 and chain:
            return self._read_row(inputs, len(tree))
        path = torch.arange(kept, device=device)
        row = Row(
            ends=torch.cat(
                (torch.full_like(path, kept + len(tree)), _tensor(tree.ends, device) + kept)
            ),
            positions=torch.cat((path, _tensor(tree.positions, device) + kept)),
            first=kept,
        )
        queries = row.positions[kept:]
        inputs["position_ids"] = queries[None]
        masks = attention_masks(
            self._model, row.seen, queries, row.positions, dtype=self._model.dtype
        )
        with self._attention(row):
            return self._read_row(inputs | {"attention_mask": masks}, len(tree))

    def _attention(self, row: Row) -> AbstractContextManager[object]:
        if self._model.device.type != "cpu":
            return nullcontext()
        return kept_attention(row) if row.first else tree_attention(row)

    def _read_row(self, inputs: dict[str, Any], tokens: int) -> Tensor:
        output = self._model.base_model(**inputs, past_key_values=self._cache, use_cache=True)
        states = output.last_hidden_state[0]
        assert len(states) == tokens
        return states


def _scores(
    head: Head, hidden: Tensor, tree: TokenTree, chosen: Sequence[Continuation]
) -> list[Scored]:
    """The scores of a row's continuations, from what the model made of its tree."""
    counts = [len(each.targets) for each in chosen]
    places = np.concatenate(
        [_last(tree, int(leaf), n) for leaf, n in zip(tree.leaves, counts, strict=True)]
    )
    tokens = np.concatenate([np.array(each.targets) for each in chosen])
    distinct, which = np.unique(places, return_inverse=True)  # (P,), (T,)
    log_probs = np.empty(len(tokens), dtype=np.float64)
    greedy = np.empty(len(tokens), dtype=bool)
    for start in range(0, len(distinct), CHUNK):
        part = torch.from_numpy(distinct[start : start + CHUNK]).to(hidden.device)
        logits = head.logits(hidden[part])
        chunk = np.flatnonzero((which >= start) & (which < start + CHUNK))
        rows = torch.from_numpy(which[chunk] - start).to(hidden.device)
        wanted = torch.from_numpy(tokens[chunk]).to(hidden.device)
        found = logits[rows, wanted] - logits.logsumexp(dim=1)[rows]
        log_probs[chunk] = found.double().cpu().numpy()
        greedy[chunk] = (logits.argmax(dim=1)[rows] == wanted).cpu().numpy()
    starts = np.cumsum([0, *counts[:-1]])
    sums = np.add.reduceat(log_probs, starts)
    alls = np.logical_and.reduceat(greedy, starts)
    return [Scored(float(one), bool(other)) for one, other in zip(sums, alls, strict=True)]


def _last(tree: TokenTree, leaf: int, count: int) -> np.ndarray:
    """Places of a token and of those before it, `count` in all."""
    places = [leaf]
    while len(places) < count:
        places.append(int(tree.parents[places[-1]]))
    return np.array(places[::-1])


def _tree(sequences: Sequence[tuple[int, ...]]) -> TokenTree:
    return build_tree([EncodedExample(ids, (False,) * len(ids)) for ids in sequences])


def _tensor(places: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(places).to(device)
