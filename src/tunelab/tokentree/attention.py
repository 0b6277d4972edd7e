"""Who sees whom, as the decoders of transformers take it.

They use an attention mask of four dimensions as it is, and make their own of anything else. So
the comparison that defines a tree (see `tree`) becomes an additive mask, 0 where a query sees a
key and the lowest number where it does not:

    keys         In  1887  ,   a  | Who  ?   Al | When ?
    Al (6)        x    x   x   x  |  x   x   x  |            full attention
                           x   x  |  x   x   x  |            sliding attention, window 5
    ?  (5)        x    x   x   x  |             |  x   x
                       x   x   x  |             |  x   x

A sliding window is measured between positions (in brackets), never between places in the row:
what stands between two tokens of a sequence may belong to its siblings. Models whose layers differ
take a mask per kind of layer. Attention that compares something else than tokens at positions is
told by `can_share`.

Virtual tokens are the root of a row: a chain in front, which every real token descends from, at
positions 0 to V - 1, within the windows that real tokens in their place would be in.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunelab.models.virtual import VirtualKeys, VirtualTokens
from tunelab.tokentree.tree import TokenTree

Masks = Tensor | dict[str, Tensor]
Mask = TypeVar("Mask")

_WINDOWED = {"full_attention": False, "sliding_attention": True}
_ALL_LAYERS = "all layers"


@dataclass(frozen=True, slots=True)
class Row:
    """A tree behind its virtual tokens: K keys, of which all from place `first` on are queries."""

    ends: Tensor
    """(K,) int64: the token at place k is seen from the places k to ends[k] - 1."""
    positions: Tensor
    """(K,) int64."""
    first: int
    """Virtual keys come from a cache and ask nothing; virtual inputs ask like any token."""

    @property
    def seen(self) -> Tensor:
        """(Q, K) bool."""
        places = torch.arange(len(self.ends), device=self.ends.device)
        queries = places[self.first :].unsqueeze(1)
        return (places <= queries) & (queries < self.ends)


def lay_out(tree: TokenTree, virtual: VirtualTokens | None, *, device: torch.device) -> Row:
    """The row of a tree whose every token sees the virtual ones."""
    count = 0 if virtual is None else len(virtual)
    root = torch.arange(count, device=device)
    ends = torch.from_numpy(tree.ends).to(device)
    positions = torch.from_numpy(tree.positions).to(device)
    return Row(
        ends=torch.cat((torch.full_like(root, count + len(tree)), ends + count)),
        positions=torch.cat((root, positions + count)),
        first=count if isinstance(virtual, VirtualKeys) else 0,
    )


def visible(tree: TokenTree) -> Tensor:
    """(N, N) bool: row q is True at q itself and its ancestors, k <= q < ends[k]."""
    return lay_out(tree, None, device=torch.device("cpu")).seen


def attention_masks(
    model: PreTrainedModel,
    seen: Tensor,
    query_positions: Tensor,
    key_positions: Tensor,
    *,
    dtype: torch.dtype,
) -> Masks:
    """The `attention_mask` that makes a decoder see what `seen` says, within its windows.

    Args:
        model: a decoder of transformers for which `can_share` has no objection.
        seen: (Q, K) bool; every query sees a key at least. K > Q where keys come from a cache.
        query_positions: (Q,) int64, as the model is given them in `position_ids`.
        key_positions: (K,) int64.
        dtype: of the model's hidden states.

    Returns:
        (1, 1, Q, K), or one such mask per kind of layer where the layers differ.
    """
    distance = query_positions.unsqueeze(1) - key_positions
    masks = {
        kind: _additive(seen if window is None else seen & (distance < window), dtype)
        for kind, window in layer_windows(model).items()
    }
    return per_layer(masks)


def per_layer(masks: dict[str, Mask]) -> Mask | dict[str, Mask]:
    """Masks of the kinds in `layer_windows` -> what the model takes as its `attention_mask`."""
    return masks.get(_ALL_LAYERS, masks)


def layer_windows(model: PreTrainedModel) -> dict[str, int | None]:
    """How far back each kind of layer sees, the token itself counted; None is without limit.

    The rule is that of `transformers.masking_utils.create_masks_for_generate`: a configuration
    with `layer_types` means a mask per kind, one without means that all layers are alike.
    """
    config = model.config.get_text_config().to_dict()
    window = config.get("sliding_window")
    if kinds := config.get("layer_types"):
        return {kind: window if _WINDOWED[kind] else None for kind in dict.fromkeys(kinds)}
    return {_ALL_LAYERS: window}


def can_share(model: PreTrainedModel) -> str | None:
    """Why a decoder cannot read a tree, in one line; None if nothing is known against it.

    This reads what the model declares; `check_exactness` measures.
    """
    name = type(model).__name__
    config = model.config.get_text_config().to_dict()
    others = sorted(set(config.get("layer_types") or ()) - set(_WINDOWED))
    if model._is_stateful or others:
        kinds = ", ".join(others) or "a running state"
        return f"{name} has layers that read one sequence at a time ({kinds})."
    if config.get("alibi"):
        return f"{name} measures distances in the row itself (ALiBi)."
    if "local" in (config.get("attention_layers") or ()):
        return f"{name} has local layers that measure their window in the row itself."
    accepted = inspect.signature(model.base_model.forward).parameters
    lacking = [each for each in ("attention_mask", "position_ids") if each not in accepted]
    if lacking:
        return f"{name} takes no {' and no '.join(lacking)}."
    return None


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    hidden = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return hidden.masked_fill_(~seen, torch.finfo(dtype).min)[None, None]
