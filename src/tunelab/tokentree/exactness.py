"""Whether sharing prefixes changes what is learnt: measured on the model at hand.

The gradients of a few examples that share a prefix are computed twice, as a tree and one example
at a time in transformers' own way, and compared. Both are taken without dropout. They are equal up
to rounding, but for

- dropout: a shared prefix draws one mask for all its branches, so gradients are equal in
  expectation only;
- losses of a router (mixtures of experts), which would count a shared token once; tunelab computes
  none, whatever the coefficient in the configuration;
- int8 layers that round what they read and keep outlier columns of the whole batch in higher
  precision: what a row holds besides changes the rounding, as in any batch. Nothing is claimed of
  that (`tiny` with LoRA: 0.02 by a tree, 0.006 by noise in the last bit of a float32); measured is
  the model that does not round what it reads;
- biases of attention keys without rotation: their true gradient is zero, so that Adam may make
  steps out of rounding alone. Compare gradients and losses there, not updated weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.models.quantise_held import rounds_activations, unrounded
from tunelab.models.virtual import VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.records import Proof
from tunelab.tokentree.attention import can_share
from tunelab.tokentree.head import evaluating
from tunelab.tokentree.packing import PackedTree, one_by_one, pack
from tunelab.tokentree.reading import target_log_probs

LIMITS = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 1e-2}
COARSE_LIMIT = 5e-2
"""In bfloat16 rounding alone makes a hundredth; a wrong mask makes far more."""
SAMPLED, SAMPLED_TOKENS = 256, 512

Virtual = Callable[[], VirtualTokens | None]


@dataclass(frozen=True, slots=True)
class Exactness:
    """Whether a model may read trees."""

    reason: str | None
    """Why its attention cannot express a tree; None if it can."""
    difference: float | None
    """||tree - one at a time|| / ||one at a time||, over all gradients; None if not measured."""
    limit: float
    conditions: tuple[str, ...]
    """Under which the equality does not hold during training."""

    @property
    def shares(self) -> bool:
        """Prefixes may be shared."""
        return self.difference is not None and self.difference <= self.limit

    @property
    def line(self) -> str:
        """What was found, for a log."""
        if self.difference is None:
            return f"{self.reason} Every example is read in a row of its own."
        found = (
            f"Gradients of a small tree differ by {self.difference:.2g} from one example at a "
            f"time (relative norm, limit {self.limit:g})"
        )
        if not self.shares:
            return f"{found}: prefixes are not shared."
        return " ".join((f"{found}.", *self.conditions))

    @property
    def proof(self) -> Proof:
        """The line as a proof; a model that does not share has nothing to prove."""
        return Proof(
            name="sharing prefixes changes no gradient",
            held=self.difference is None or self.shares,
            found=self.line,
            remedy="Set training.share_prefix=false, and tell us the architecture.",
        )


def check_exactness(
    model: PreTrainedModel,
    examples: Sequence[EncodedExample],
    *,
    parameters: Sequence[Tensor],
    virtual: Virtual = lambda: None,
) -> Exactness:
    """Compare a small tree with one example at a time; gradients that are held are left alone.

    Args:
        model: the transformers model at the bottom, with whatever a method put into it.
        examples: of the training set; a few that share much are taken.
        parameters: what is trained, virtual tokens included; where there is nothing,
            log-probabilities are compared instead of gradients.
        virtual: makes the virtual tokens, afresh for each backward pass.

    Raises:
        ModelError: the model computes its logits in an unknown way.
        TuningError: prefix tuning with gradient checkpointing.
    """
    limit = LIMITS.get(model.dtype, COARSE_LIMIT)
    if reason := can_share(model):
        return Exactness(reason, None, limit, ())
    few = sampled(examples)
    together = pack(few, tokens_per_pass=sum(len(each.ids) for each in few))
    with evaluating(model), unrounded(model):
        alone = _measured(model, one_by_one(few), parameters, virtual)
        tree = _measured(model, together, parameters, virtual)
    difference = _norm(_difference(a, b) for a, b in zip(tree, alone, strict=True))
    scale = _norm(alone)
    return Exactness(None, difference / scale if scale else difference, limit, _conditions(model))


def sampled(examples: Sequence[EncodedExample]) -> list[EncodedExample]:
    """The small row that saves most among the first examples; at least two of them."""
    first = examples[:SAMPLED]
    whole = sum(len(example.ids) for example in first)
    budget = SAMPLED_TOKENS
    while True:  # long examples share nothing with one another below twice their length
        rows = pack(first, tokens_per_pass=budget)
        best = max(rows, key=lambda row: _length(first, row) - len(row.tree))
        if _length(first, best) > len(best.tree):
            return [first[index] for index in best.examples]
        if budget >= whole:
            return list(first[:2])
        budget *= 2


def _length(examples: Sequence[EncodedExample], row: PackedTree) -> int:
    return sum(len(examples[index].ids) for index in row.examples)


def _measured(
    model: PreTrainedModel,
    rows: Sequence[PackedTree],
    parameters: Sequence[Tensor],
    virtual: Virtual,
) -> list[Tensor | None]:
    """The gradients of the sum of all targets' losses, None where there is none; or that sum where
    nothing is trained. In float32 at least: a whole model's gradients are held twice, no more.
    """
    with torch.set_grad_enabled(bool(parameters)):
        found: list[Tensor | None] = [None] * len(parameters)
        total = torch.zeros((), dtype=torch.float64)
        for row in rows:
            log_probs = target_log_probs(model, row.tree, virtual=virtual())
            weights = torch.from_numpy(row.tree.weights[row.tree.weights > 0])
            loss = -(log_probs * weights.to(log_probs.device)).sum()
            total += loss.detach().double().cpu()
            if parameters:
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                for place, gradient in enumerate(gradients):
                    found[place] = _sum(found[place], gradient)
                del gradients
    return found or [total]


def _sum(before: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    """Not in place: two parameters may have been given one tensor."""
    if gradient is None:
        return before
    wide = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return wide if before is None else before + wide


def _difference(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one - other


def _norm(tensors: Iterable[Tensor | None]) -> float:
    """Of all together; None is zero."""
    norms = (
        float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
        for tensor in tensors
        if tensor is not None
    )
    return math.hypot(*norms)


def _conditions(model: PreTrainedModel) -> tuple[str, ...]:
    config = model.config.get_text_config().to_dict()
    rates = {
        value
        for name, value in config.items()
        if ("dropout" in name or name.endswith("pdrop")) and isinstance(value, float)
    } | {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    conditions = []
    if any(rates):
        conditions.append(
            f"With dropout (up to {max(rates):g}) a shared prefix draws one mask for its "
            "branches: equal in expectation only."
        )
    if config.get("router_aux_loss_coef"):
        conditions.append("The router's auxiliary loss is not trained (its coefficient counts 0).")
    if rounds_activations(model):
        conditions.append(
            "Measured without the rounding of what int8 layers read: that depends on what else is "
            "in a row, as in any batch, and nothing is claimed of it."
        )
    return tuple(conditions)
