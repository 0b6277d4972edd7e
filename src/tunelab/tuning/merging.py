"""Adding an adapter's update to the weights that it was trained on, where PEFT can."""

from __future__ import annotations

from typing import Any, cast

from peft.tuners.tuners_utils import BaseTuner
from transformers import PreTrainedModel

from tunelab.tuning.model import TunedModel


def may_merge(tuned: TunedModel) -> bool:
    """Whether the method is one that PEFT may merge; whether it can, `merge` finds out."""
    return tuned.stored == "adapter" and isinstance(tuned.adapted.base_model, BaseTuner)


def merge(tuned: TunedModel) -> PreTrainedModel | None:
    """The model without its adapter, saying the same; None where PEFT cannot merge the method.

    The weights of `tuned` are changed.
    """
    if not may_merge(tuned):
        return None
    try:
        return cast("Any", tuned.adapted.base_model).merge_and_unload()
    except (
        NotImplementedError
    ):  # PEFT's own word for a method without a merge: nothing is open here
        return None
