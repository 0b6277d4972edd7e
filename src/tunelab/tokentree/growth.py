"""A tree that grows: all prompts are read once, then every branch by one token a step.

    step 0   the prompts' tree is one row; the logits at its leaves begin the branches
    step t   one new token per branch, again one row: each sees its ancestors among the prompts
             and the tokens of its own branch, at its own position

What a branch computes is what its prompt and its tokens compute alone. Several branches may grow
out of one token: that is all there is to beams. A branch that is not continued costs nothing more,
and once fewer than half of the keys are seen by anybody the others are forgotten.
"""

from __future__ import annotations

import copy
import inspect
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunelab.errors import ModelError
from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.tokentree.attention import attention_masks, lay_out
from tunelab.tokentree.blocks import block_attention, cut_blocks, tree_attention
from tunelab.tokentree.cache import GrowingCache
from tunelab.tokentree.tree import TokenTree


@dataclass(frozen=True, slots=True)
class Growth:
    """The branches of a step, as continuations of those of the step before."""

    parents: list[int]
    """Of each the index of the branch that it continues (at first: of its prompt)."""
    tokens: list[int]
    """Of each the token that it grows by."""

    def add(self, *, parent: int, token: int) -> None:
        """One more branch."""
        self.parents.append(parent)
        self.tokens.append(token)


class GrowingTree:
    """A model's reading of a tree of prompts and of the branches that grow from it.

    Shapes: E prompts, N tokens in their tree, B branches, K keys, V tokens of the vocabulary.

    Args:
        model: a decoder for which `attention.can_share` has no objection.
        tree: of the prompts.
        virtual: what prompt or prefix tuning puts in front of them.
    """

    def __init__(
        self, model: PreTrainedModel, tree: TokenTree, *, virtual: VirtualTokens | None
    ) -> None:
        self._model = model
        self._device = model.device
        self._on_cpu = model.device.type == "cpu"
        self._cache = GrowingCache()
        self._inputs = {"input_ids": torch.from_numpy(tree.tokens).to(self._device)[None]}
        match virtual:
            case VirtualInputs(embeddings):
                words = model.get_input_embeddings()(self._inputs["input_ids"])
                rows = torch.cat((embeddings.to(words.dtype)[None], words), dim=1)
                self._inputs = {"inputs_embeds": rows}
            case VirtualKeys(layers):
                for index, (keys, values) in enumerate(layers):
                    self._cache.update(keys[None], values[None], index)
            case None:
                pass
        self._row = row = lay_out(tree, virtual, device=self._device)
        leaves = np.sort(tree.leaves) + len(row.ends) - len(tree)
        self._leaves = torch.from_numpy(leaves).to(self._device)
        cuts = [block.queries[0] for block in cut_blocks(row.ends.tolist())]
        self._blocks = [bisect_right(cuts, leaf) for leaf in leaves.tolist()]  # of the branches
        # of keys: positions (K,); of branches: what each sees (B, K), its next position (B,)
        self._positions = row.positions
        self._seen = row.seen
        self._next = row.positions

    def begin(self) -> Tensor:
        """Read the prompts: (E, V) float32 logits of what follows each, in the tree's order."""
        first = self._row.first
        queries = self._leaves - first
        with tree_attention(self._row) if self._on_cpu else nullcontext():
            logits = self._read(self._inputs, self._positions[first:], logits_at=queries)
        self._seen = self._seen[queries]
        self._next = self._positions[self._leaves] + 1
        return logits

    def grow(self, growth: Growth) -> Tensor:
        """Read the next token of every branch: (B, V) float32 logits of what follows."""
        chosen = torch.tensor(growth.parents, device=self._device)
        fewer = len(chosen) < len(self._seen)
        self._seen = self._seen[chosen]
        if fewer:
            self._forget()
        positions = self._next[chosen]
        own = torch.eye(len(chosen), dtype=torch.bool, device=self._device)
        self._seen = torch.cat([self._seen, own], dim=1)
        self._positions = torch.cat([self._positions, positions])
        self._next = positions + 1
        self._blocks = [self._blocks[parent] for parent in growth.parents]
        tokens = torch.tensor([growth.tokens], device=self._device)
        with self._by_blocks() if self._on_cpu else nullcontext():
            return self._read({"input_ids": tokens}, positions, logits_at=0)

    def _by_blocks(self) -> AbstractContextManager[object]:
        """Branches from the same part of the tree look at their own keys, not at all of the row."""
        sizes = [len(list(members)) for _, members in groupby(self._blocks)]
        if len(sizes) == 1:  # all keys that are left are theirs
            return nullcontext()
        seen = [rows.any(dim=0).nonzero().squeeze(1) for rows in self._seen.split(sizes)]
        return block_attention(sizes, seen, keys=self._seen.shape[1])

    def _read(
        self, inputs: dict[str, Tensor], positions: Tensor, *, logits_at: Tensor | int
    ) -> Tensor:
        masks = attention_masks(
            self._model, self._seen, positions, self._positions, dtype=self._model.dtype
        )
        output = self._model(
            **inputs,
            attention_mask=masks,
            position_ids=positions[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=logits_at,  # 0: everywhere
        )
        return output.logits[0].float()

    def _forget(self) -> None:
        """Drop the keys that no branch sees, if they are the most: attention pays for each."""
        alive = self._seen.any(dim=0).nonzero().squeeze(1)
        if 2 * len(alive) < self._seen.shape[1]:
            self._cache.keep(alive)
            self._seen = self._seen[:, alive]
            self._positions = self._positions[alive]


class SeparateBranches:
    """The same for a model whose attention cannot express a tree: a branch at a time.

    Each branch has the cache that transformers makes for the model, copied where branches part.
    Nothing is shared, and nothing is fast.

    Args:
        model: any decoder with a cache.
        prompt: its tokens.
        virtual: as for `GrowingTree`.

    Raises:
        ModelError: the model keeps what it has read in a way of its own.
    """

    def __init__(
        self, model: PreTrainedModel, prompt: Sequence[int], *, virtual: VirtualTokens | None
    ) -> None:
        accepted = inspect.signature(model.forward).parameters
        names = [name for name in ("past_key_values", "cache_params") if name in accepted]
        if not names:
            raise ModelError(
                f"{type(model).__name__} has no cache that tunelab knows: it cannot write answers.",
                hint="Choose another checkpoint.",
            )
        self._name = names[0]
        self._model = model
        self._prompt = list(prompt)
        self._virtual = virtual
        self._caches: list[Any] = []

    def begin(self) -> Tensor:
        """Read the prompt: (1, V) float32 logits of what follows."""
        tokens = torch.tensor([self._prompt], device=self._model.device)
        match self._virtual:
            case None:
                return self._read({"input_ids": tokens})
            case VirtualInputs(embeddings):
                words = self._model.get_input_embeddings()(tokens)
                rows = torch.cat((embeddings.to(words.dtype)[None], words), dim=1)
                return self._read({"inputs_embeds": rows})
            case VirtualKeys():
                return self._read({"input_ids": tokens, self._name: self._virtual.cache()})

    def grow(self, growth: Growth) -> Tensor:
        """Read the next token of every branch: (B, V) float32 logits of what follows."""
        before, self._caches = self._caches, []
        logits: list[Tensor] = []
        for index, (parent, token) in enumerate(zip(growth.parents, growth.tokens, strict=True)):
            again = parent in growth.parents[index + 1 :]
            past = copy.deepcopy(before[parent]) if again else before[parent]
            tokens = torch.tensor([[token]], device=self._model.device)
            logits.append(self._read({"input_ids": tokens, self._name: past}))
        return torch.cat(logits)

    def _read(self, inputs: dict[str, Any]) -> Tensor:
        output = self._model(**inputs, use_cache=True)
        self._caches.append(output[self._name])
        return output.logits[:, -1].float()
