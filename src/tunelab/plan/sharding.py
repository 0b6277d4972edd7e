"""Memory of one device among several that share a run.

    ddp     every device holds everything; gradients a second time, in the buckets they travel in
    fsdp    weights, gradients and moments are cut into as many parts as there are devices; of the
            layers, the one at work and the next one are gathered whole (PyTorch FSDP2,
            `fully_shard` of every layer)

Activations belong to the rows of a device and are never cut.
"""

from __future__ import annotations

from typing import Literal, assert_never

from tunelab.plan.rehearsal import Rehearsal
from tunelab.plan.simulated import Sizes

Sharding = Literal["none", "ddp", "fsdp"]
_GATHERED = 2


def phases_of_one(
    found: Rehearsal, sizes: Sizes, *, devices: int, sharding: Sharding
) -> dict[str, int]:
    """The worst moment of each phase on one of the devices."""
    match sharding:
        case "none":
            return dict(found.phases)
        case "ddp":
            buckets = sizes.trained if found.parts else 0
            return {
                name: size + (buckets if name == "training" else 0)
                for name, size in found.phases.items()
            }
        case "fsdp":
            away = 1 - 1 / devices
            return {
                name: round(size - away * _cut(name, found, sizes)) + _GATHERED * sizes.layer
                for name, size in found.phases.items()
            }
        case _:
            assert_never(sharding)


def _cut(phase: str, found: Rehearsal, sizes: Sizes) -> int:
    """Bytes of a phase that are shared out."""
    if phase == "training" and found.parts is not None:
        return found.parts.weights + found.parts.gradients + found.parts.optimizer
    return sizes.held
