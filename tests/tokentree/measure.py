"""Gradients of a tuned decoder: of trees, and one example at a time in the plain way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import TypeAdapter
from tests.tokentree.small import decoder
from torch import Tensor

from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe.schema import Tuning
from tunelab.tokentree import PackedTree
from tunelab.tokentree.reading import target_log_probs
from tunelab.tuning import TunedModel, apply_tuning

VIRTUAL = 6  # more than the short windows of `small.SLIDING` reach back
METHODS: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora", "rank": 2, "alpha": 2},
    "dora": {"kind": "lora", "rank": 2, "alpha": 2, "dora": True},
    "prefix": {"kind": "prefix", "virtual_tokens": VIRTUAL},
    "prompt": {"kind": "prompt", "virtual_tokens": VIRTUAL},
}


def tuned_decoder(name: str, method: str, *, sliding: bool = False, **fields: Any) -> TunedModel:
    """A method on a small decoder, its trained tensors moved away from where they start."""
    tuning = TypeAdapter[Tuning](Tuning).validate_python(METHODS[method])
    base = decoder(name, sliding=sliding, **fields)
    tuned = apply_tuning(base, tuning, total_steps=1, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name_, parameter in tuned.trained_parameters().items():
        if method != "full" and "magnitude" not in name_:
            parameter.data.normal_(std=0.2, generator=generator)
    tuned.model.eval()
    return tuned


def plain_log_probs(tuned: TunedModel, example: EncodedExample) -> Tensor:
    """Of the targets, by the model's or PEFT's own forward pass, without any mask of ours."""
    whole = tuned.adapted if tuned.stored == "adapter" else tuned.checkpoint
    ids = torch.tensor([example.ids])
    logits = whole(input_ids=ids).logits[0, -len(example.ids) :]
    targets = torch.tensor(example.targets)[1:]
    log_probs = logits[:-1].float().log_softmax(-1)
    return log_probs.gather(1, ids[0, 1:, None])[targets, 0]


def plain_gradients(tuned: TunedModel, examples: Sequence[EncodedExample]) -> list[Tensor]:
    return gradients(tuned, [-plain_log_probs(tuned, example).sum() for example in examples])


def tree_gradients(tuned: TunedModel, rows: Sequence[PackedTree]) -> list[Tensor]:
    losses = []
    for row in rows:
        log_probs = target_log_probs(tuned.checkpoint, row.tree, virtual=tuned.virtual())
        weights = torch.from_numpy(row.tree.weights[row.tree.weights > 0])
        losses.append(-(log_probs * weights).sum())
    return gradients(tuned, losses)


def gradients(tuned: TunedModel, losses: Sequence[Tensor]) -> list[Tensor]:
    parameters = list(tuned.trained_parameters().values())
    assert parameters
    found = torch.autograd.grad(sum(losses, torch.zeros(())), parameters, allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def relative_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    first, second = (torch.cat([x.double().flatten() for x in tensors]) for tensors in (one, other))
    return float((first - second).norm() / second.norm())
