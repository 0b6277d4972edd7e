"""What a run needs, counted module by module: for architectures that cannot be gone through.

Every module with weights of its own keeps what comes in and what goes out, at each token of the
largest pass; attention keeps no more than that. It is a rule of thumb, and whoever shows its
figures says so.
"""

from __future__ import annotations

from torch import nn

from tunelab.plan.drawn import Drawn, tokens
from tunelab.plan.rehearsal import PHASES, Parts, Rehearsal
from tunelab.plan.simulated import HeldLinear, Simulated
from tunelab.recipe import Recipe

_MOMENTS = 2
_CHUNK = 256
"""Targets whose logits are held at a time (`tokentree.reading`)."""
_COPIES = 3
"""Logits, their softmax and their gradient."""
_BACKWARD = 2
"""Products of a backward pass for each of the forward pass."""


def counted(sim: Simulated, recipe: Recipe, drawn: Drawn) -> Rehearsal:
    """The same figures as `rehearse`, without going through anything."""
    sizes = sim.sizes
    width, weights = _width(sim.tuned.model), sizes.total_parameters
    item = 2 if recipe.model.dtype != "f32" else 4
    answering = sizes.held + 2 * item * tokens(drawn.asked) * width // _layers(sim)
    if not drawn.step:
        return Rehearsal(
            phases={"loading": sizes.held, "answering": answering},
            parts=None,
            flops_step=0.0,
            step_tokens=0,
            flops_asked=2.0 * weights * tokens(drawn.asked),
            keys_and_values=0,
        )
    whole = item * drawn.largest * width
    kept = whole // _layers(sim) if sim.tuned.checkpoint.is_gradient_checkpointing else whole
    vocabulary = sim.tuned.checkpoint.config.to_dict().get("vocab_size") or 0
    parts = Parts(
        weights=sizes.held,
        gradients=sizes.trained,
        optimizer=_MOMENTS * sizes.trained,
        logits=0 if not drawn.branches else _COPIES * 4 * _CHUNK * vocabulary,
        activations=kept,
    )
    training = parts.weights + parts.gradients + parts.optimizer + parts.logits + kept
    needed = (sizes.held, training, training, 2 * sizes.held, answering)
    return Rehearsal(
        phases=dict(zip(PHASES, needed, strict=True)),
        parts=parts,
        flops_step=2.0 * (1 + _BACKWARD) * weights * drawn.largest,
        step_tokens=drawn.largest,
        flops_asked=2.0 * weights * tokens(drawn.asked),
        keys_and_values=0,
    )


def _width(model: nn.Module) -> int:
    """Numbers that all modules with weights take in and give out, for one token."""
    return sum(
        module.in_features + module.out_features
        if isinstance(module, nn.Linear | HeldLinear)
        else 2 * own[0].shape[-1]
        for module in model.modules()
        if (own := list(module.parameters(recurse=False)))
    )


def _layers(sim: Simulated) -> int:
    return max(1, sim.tuned.checkpoint.config.num_hidden_layers)
