"""From hidden states to logits, as the model itself computes them, but only where they are asked.

Between its output layer and its logits a decoder may scale (Cohere, Granite) or cap them (Gemma).
The configuration says so under three names, which are read here; that nothing else happens is
proven once per model, by comparing with the model's own logits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import ModelError

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
_COARSE_TOLERANCE = 2e-2

_proven: WeakSet[PreTrainedModel] = WeakSet()


@dataclass(frozen=True, slots=True)
class Head:
    """What stands behind the last hidden states."""

    layer: nn.Module
    """The output layer, with whatever a tuning method made of it."""
    factor: float
    """The logits are multiplied by this."""
    cap: float | None
    """Then x becomes cap tanh(x / cap)."""

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., H) last hidden states -> (..., vocabulary) logits in float32."""
        logits = self.layer(hidden).float()
        if self.factor != 1:
            logits = logits * self.factor
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def proven_head(model: PreTrainedModel) -> Head:
    """The head of a causal language model.

    Raises:
        ModelError: the model has no output layer, or does something else to its logits.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        raise ModelError(
            f"{type(model).__name__} has no output layer.",
            hint="Load the checkpoint as a causal language model.",
        )
    config = model.config.get_text_config().to_dict()
    head = Head(
        layer,
        factor=config.get("logit_scale", 1.0) / config.get("logits_scaling", 1.0),
        cap=config.get("final_logit_softcapping"),
    )
    if model not in _proven:
        _prove(model, head)
        _proven.add(model)
    return head


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """No dropout for a while; every module is afterwards in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@torch.no_grad()
def _prove(model: PreTrainedModel, head: Head) -> None:
    tokens = torch.tensor([[0, 1]], device=model.device)
    with evaluating(model):
        wanted = model(input_ids=tokens, use_cache=False).logits.float()
        found = head.logits(model.base_model(input_ids=tokens, use_cache=False).last_hidden_state)
    allowed = _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE) * float(wanted.abs().max())
    difference = float((found - wanted).abs().max())
    if not difference <= allowed:  # nan is not allowed either
        raise ModelError(
            f"{type(model).__name__} computes its logits in a way that tunelab does not know: "
            f"they differ by {difference:.3g} from what its output layer gives.",
            hint="Choose another checkpoint; this one can be neither trained nor scored.",
        )
