"""A tree that grows: all prompts are read once, then every branch by one token a step.

    step 0   the prompts' tree is one row; the logits at its leaves begin the branches
    step t   one new token per branch, again one row: each sees its ancestors among the prompts
             and the tokens of its own branch, at its own position

What a branch computes is what its prompt and its tokens compute alone. Several branches may grow
out of one token: that is all there is to beams. A branch that is not continued costs nothing more,
and once fewer than half of the keys are seen by anybody the others are forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunelab.tokentree.attention import attention_masks, visible
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
    """

    def __init__(self, model: PreTrainedModel, tree: TokenTree) -> None:
        self._model = model
        self._device = model.device
        self._cache = GrowingCache()
        self._tokens = torch.from_numpy(tree.tokens).to(self._device)
        self._leaves = torch.from_numpy(tree.leaves).to(self._device)
        # of keys: positions (K,); of branches: what each sees (B, K), its next position (B,)
        self._positions = torch.from_numpy(tree.positions).to(self._device)
        self._seen = visible(tree).to(self._device)
        self._next = self._positions + 1

    def begin(self) -> Tensor:
        """Read the prompts: (E, V) float32 logits of what follows each."""
        logits = self._read(self._tokens, self._positions, logits_at=self._leaves)
        self._seen = self._seen[self._leaves]
        self._next = self._next[self._leaves]
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
        return self._read(torch.tensor(growth.tokens, device=self._device), positions, logits_at=0)

    def _read(self, tokens: Tensor, positions: Tensor, *, logits_at: Tensor | int) -> Tensor:
        masks = attention_masks(
            self._model, self._seen, positions, self._positions, dtype=self._model.dtype
        )
        output = self._model(
            input_ids=tokens[None],
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
