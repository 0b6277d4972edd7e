"""The loss of decoders on a CPU: quick kernels with bfloat16 and with gradient checkpointing."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from tests.tokentree.measure import tuned_decoder
from tests.tokentree.small import EXAMPLES

from tunelab.recipe import Training
from tunelab.training.answers import AnswerObjective
from tunelab.tuning import TunedModel

GROUPS = ["group"] * len(EXAMPLES)


def gradients(tuned: TunedModel) -> torch.Tensor:
    """Of a whole step, where the loss is taken as `tunelab run` does."""
    objective = AnswerObjective(
        tuned, GROUPS, EXAMPLES, Training(), accelerator=Accelerator(), share=True
    )
    tuned.model.zero_grad()
    [passes] = objective.batch(range(len(EXAMPLES))).passes(1)
    for loss_sum in passes:
        loss_sum().backward()
    found = [p.grad for p in tuned.trained_parameters().values() if p.grad is not None]
    return torch.cat([gradient.flatten() for gradient in found])


def test_bfloat16_autocast_trains_rotated_queries() -> None:
    tuned = tuned_decoder("llama", "full")
    wanted = gradients(tuned)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(tuned)
    assert float((found - wanted).norm() / wanted.norm()) < 0.1


def test_gradient_checkpointing_on_a_cpu() -> None:
    tuned = tuned_decoder("llama", "full")
    wanted = gradients(tuned)
    tuned.checkpoint.gradient_checkpointing_enable({"use_reentrant": False})
    tuned.model.train()
    assert float((gradients(tuned) - wanted).norm() / wanted.norm()) < 1e-5
