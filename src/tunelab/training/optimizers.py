"""The optimiser: AdamW, or bitsandbytes' AdamW with its state in 8 bits or in paged memory.

    adamw             torch's own, fused
    adamw-8bit        both moments in blocks of 8 bits (arXiv 2110.02861); small tensors stay in 32
    paged-adamw       moments that move to the host where the accelerator's memory ends (QLoRA)
    paged-adamw-8bit  both

Paged memory is CUDA's; the others run on a CPU too.
"""

from __future__ import annotations

import importlib.util
from typing import Any, assert_never

import torch

from tunelab.errors import ModelError
from tunelab.recipe import Training


def check_optimizer(settings: Training) -> None:
    """Refuse an optimiser that cannot run here.

    Raises:
        ModelError: bitsandbytes is not installed, or paged memory is asked for without CUDA.
    """
    name = settings.optimizer
    if name == "adamw":
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"training.optimizer={name} needs bitsandbytes, which is not installed.",
            hint="pip install 'tunelab[quant]'",
        )
    if name.startswith("paged") and not torch.cuda.is_available():
        raise ModelError(
            f"training.optimizer={name} needs CUDA's paged memory, and there is no CUDA device.",
            hint="Use training.optimizer=adamw or adamw-8bit.",
        )


def make_optimizer(settings: Training, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser over `TunedModel.parameter_groups`."""
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, fused=True)
        case "adamw-8bit":
            from bitsandbytes.optim.adamw import AdamW8bit

            return AdamW8bit(groups)
        case "paged-adamw":
            from bitsandbytes.optim.adamw import PagedAdamW32bit

            return PagedAdamW32bit(groups)
        case "paged-adamw-8bit":
            from bitsandbytes.optim.adamw import PagedAdamW8bit

            return PagedAdamW8bit(groups)
        case _:
            assert_never(settings.optimizer)
