"""Proof that a run trains what it claims to train.

    before    what should train requires a gradient, nothing else does, the optimiser holds just it
    during    over the first steps every tensor that should train gets a gradient that is not zero
    during    every tensor that should train moves; no other tensor does

The union over several steps is taken because some gradients begin at zero by design: LoRA's A has
none while B is zero. A gradient that never comes stops the training at once; whether tensors moved
is told at the end, because the first rates of a warm-up may be below what float32 can show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from tunelab.errors import ProofError
from tunelab.models.quantise_held import Held, measure
from tunelab.records import Proof
from tunelab.tuning.model import TunedModel
from tunelab.tuning.sharded import whole

WATCHED_STEPS = 5
FEWEST_STEPS = 2
"""Before the second step LoRA's A has had no chance of a gradient: fewer prove nothing."""
SAMPLED = 65_536
"""Elements looked at in a frozen tensor, evenly spread; trained tensors are looked at whole."""

_KEY_BIAS = re.compile(r"(^|\.)(key|k_lin|k_proj|key_proj)(\.base_layer)?\.bias$")
_NAMED = 4


class TrainingWatch:
    """Looks over the shoulder of a training loop; costs next to nothing after a few steps.

    Make it before a checkpoint is loaded: what moved is measured from here.

    A tensor that never gets a gradient fails its proof, but for one documented class: biases of
    attention keys, whose true gradient is zero (the same number is added to all scores of a query,
    and the softmax takes it out again). A tensor that gets gradients but does not move fails too,
    unless it is stored in less than float32, where rounding may swallow the steps; it is named.
    """

    def __init__(self, tuned: TunedModel, *, steps: int = WATCHED_STEPS) -> None:
        self._tuned = tuned
        self._steps = steps
        self._watched = 0
        self._expected = {
            name: tensor
            for name, tensor in tuned.model.named_parameters()
            if name in tuned.expected
        }
        self._others = {
            name: tensor
            for name, tensor in tuned.model.named_parameters()
            if name not in tuned.expected
        }
        self._start = {name: checksum(tensor) for name, tensor in self._expected.items()}
        self._frozen = {name: checksum(t, sample=SAMPLED) for name, t in self._others.items()}
        self._lacking = dict.fromkeys(self._expected)  # an ordered set: no gradient yet
        self._absent = dict.fromkeys(self._expected)  # no gradient at all, not even zero
        self._held: Held | None = None
        self._before: list[Proof] = []
        self._groups: list[dict[str, Any]] = []

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Prove what can be proved before the first step.

        Raises:
            ProofError: something that should train cannot.
        """
        self._groups = optimizer.param_groups
        self._before = [self._requirement(), self._optimised(optimizer)]
        raise_unless_held(self._before)

    def after_backward(self) -> None:
        """Note who got a gradient; call when a step's gradients are complete, before clipping."""
        if self._watched == self._steps:
            return
        for name in list(self._lacking):
            gradient = self._expected[name].grad
            if gradient is not None:
                self._absent.pop(name, None)
                if bool(whole(gradient).any()):
                    del self._lacking[name]

    def after_step(self) -> None:
        """Count a step whose rate was not zero; call after `optimizer.step()`.

        Raises:
            ProofError: enough steps were watched, and a tensor never got a gradient.
        """
        if self._watched < self._steps and any(group["lr"] > 0 for group in self._groups):
            self._watched += 1
            self._held = measure(self._tuned.model)
            if self._watched == self._steps:
                raise_unless_held([self._gradients()])

    def seen(self) -> dict[str, Any]:
        """What was noted so far, for a checkpoint: a run that goes on proves what it had proved."""
        return {
            "watched": self._watched,
            "lacking": list(self._lacking),
            "absent": list(self._absent),
            "held": asdict(self._held) if self._held else None,
        }

    def remember(self, seen: dict[str, Any]) -> None:
        """Go on from what `seen` returned."""
        self._watched = seen["watched"]
        self._lacking = dict.fromkeys(seen["lacking"])
        self._absent = dict.fromkeys(seen["absent"])
        held = seen.get("held")  # which an earlier version left out
        self._held = Held(**held) if held else None

    def proofs_so_far(self) -> list[Proof]:
        """What was proved, or failed to be, when the training broke off."""
        return [*self._before, *([self._gradients()] if self._watched else [])]

    def proofs(self) -> list[Proof]:
        """All that was seen; call when the training is over."""
        packed = [self._packed(self._held)] if self._held else []
        return [*self._before, self._gradients(), self._moved(), self._still(), *packed]

    def _requirement(self) -> Proof:
        trained = self._tuned.trained_parameters()
        frozen = [name for name in self._expected if name not in trained]
        extra = [name for name in trained if name not in self._expected]
        found = (
            f"{count(self._expected.values()):,} parameters in {len(self._expected)} tensors "
            f"should train; {count(trained.values()):,} in {len(trained)} require a gradient"
        )
        if frozen:
            found += f"; frozen: {_named(frozen)}"
        if extra:
            found += f"; should be frozen: {_named(extra)}"
        return Proof(
            name="what should train is trainable",
            held=bool(self._expected) and not frozen and not extra,
            found=found + ".",
            remedy="Something changed requires_grad after the method was applied (preparing a "
            "quantised model or gradient checkpointing does). Do that before, not after.",
        )

    def _optimised(self, optimizer: torch.optim.Optimizer) -> Proof:
        held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
        missing = [name for name, tensor in self._expected.items() if id(tensor) not in held]
        foreign = held - {id(tensor) for tensor in self._expected.values()}
        found = (
            f"The optimiser holds {len(held)} tensors, of which {len(held) - len(foreign)} are "
            f"among the {len(self._expected)} that should train"
        )
        if missing:
            found += f"; it lacks {_named(missing)}"
        return Proof(
            name="the optimiser holds what should train",
            held=not missing and not foreign,
            found=found + ".",
            remedy="Make the optimiser from TunedModel.parameter_groups, after the method was "
            "applied and the model was moved to its device.",
        )

    def _gradients(self) -> Proof:
        lacking = list(self._lacking)
        excused = [name for name in lacking if _KEY_BIAS.search(name)]
        failed = [name for name in lacking if name not in excused]
        got = len(self._expected) - len(lacking)
        found = (
            f"{got} of {len(self._expected)} tensors that should train got a gradient that is not "
            f"zero within {self._watched} steps of a rate that is not zero"
        )
        if excused:
            found += f"; biases of attention keys have none by nature: {_named(excused)}"
        if failed:
            found += f"; never: {_named(failed)}: {self._reason(failed)}"
        return Proof(
            name="gradients arrive",
            held=not failed or self._watched < FEWEST_STEPS,
            found=found + ".",
            remedy="The run would have trained "
            f"{count(self._expected[name] for name in self._expected if name not in failed):,} "
            f"parameters under the name of '{self._tuned.tuning.kind}'. Find what freezes, "
            "detaches or hooks these tensors; with gradient checkpointing the inputs must require "
            "a gradient.",
        )

    def _packed(self, found: Held) -> Proof:
        return Proof(
            name="a quantised base stays quantised",
            held=found.is_packed,
            found=f"During training: {found.sentence}.",
            remedy="A library unpacks the base while it is trained on: its memory is not what the "
            "recipe says. Use another precision, and tell us.",
        )

    def _reason(self, failed: list[str]) -> str:
        if frozen := [name for name in failed if not self._expected[name].requires_grad]:
            return f"{len(frozen)} of them do not require a gradient"
        if absent := [name for name in failed if name in self._absent]:
            return f"{len(absent)} of them take no part in the loss (detached, or not used)"
        return "their gradient is exactly zero (a hook or a factor of zero erases it)"

    def _moved(self) -> Proof:
        unmoved = [
            name for name, tensor in self._expected.items() if checksum(tensor) == self._start[name]
        ]
        coarse = [name for name in unmoved if self._expected[name].dtype.itemsize < 4]
        excused = [name for name in unmoved if name in coarse or _KEY_BIAS.search(name)]
        failed = [name for name in unmoved if name not in excused]
        moved = len(self._expected) - len(unmoved)
        found = f"{moved} of {len(self._expected)} tensors that should train moved"
        if coarse:
            found += f"; rounding swallowed every step of {_named(coarse)}"
        if failed:
            found += f"; never: {_named(failed)}"
        return Proof(
            name="what should train moves",
            held=moved > 0 and not failed,
            found=found + ".",
            remedy="Look at the learning rate (a rate of zero moves nothing) and at whether the "
            "optimiser still holds these very tensors.",
        )

    def _still(self) -> Proof:
        changed = [
            name
            for name, tensor in self._others.items()
            if checksum(tensor, sample=SAMPLED) != self._frozen[name]
        ]
        if not self._others:
            return Proof(name="what is frozen stays", held=True, found="No tensor is frozen.")
        found = f"{len(self._others) - len(changed)} of {len(self._others)} frozen tensors stayed"
        if changed:
            found += f"; changed: {_named(changed)}"
        return Proof(
            name="what is frozen stays",
            held=not changed,
            found=f"{found} (looked at up to {SAMPLED:,} elements of each).",
            remedy="Something besides the optimiser's tensors is written to; the stored adapter "
            "would not fit the checkpoint.",
        )


def raise_unless_held(proofs: Iterable[Proof]) -> None:
    """Raise for the first proof that did not hold.

    Raises:
        ProofError: with what was seen and what to do.
    """
    for proof in proofs:
        if not proof.held:
            raise ProofError(
                f"The proof '{proof.name}' does not hold: {proof.found}", hint=proof.remedy
            )


def count(tensors: Iterable[Tensor]) -> int:
    """Elements in all."""
    return sum(tensor.numel() for tensor in tensors)


@torch.no_grad()
def checksum(tensor: Tensor, *, sample: int | None = None) -> int:
    """Sum of the bit patterns, wrapping: a change of any looked-at element shows.

    Of a sharded tensor all processes ask together, and get the same.

    Args:
        tensor: any dtype.
        sample: how many elements to look at, evenly spread; None for all.
    """
    values = whole(tensor).detach().reshape(-1)
    if sample is not None and values.numel() > sample:
        values = values[:: values.numel() // sample]
    bits = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.dtype.itemsize]
    return int(values.contiguous().view(bits).sum(dtype=torch.int64))


def _named(names: Iterable[str]) -> str:
    """The first few names, without what PEFT wraps around them."""
    short = [
        re.sub(r"^adapted\.|base_model\.model\.|base_model\.|\.default(?=\.|$)", "", name)
        for name in names
    ]
    more = f" and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
    return ", ".join(short[:_NAMED]) + more
