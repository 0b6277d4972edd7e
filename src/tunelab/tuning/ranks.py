"""What AdaLoRA and AdaMSS remember between steps besides their weights, for a checkpoint.

AdaLoRA keeps running means of every weight's importance and the ranks that it has given up; AdaMSS
keeps the same means for every subspace and freezes those that it has given up. PEFT stores neither
with an adapter, and without them a resumed run would share out its ranks anew.
"""

from __future__ import annotations

from typing import Any, cast

from peft import AdaLoraConfig, PeftModel
from peft.tuners.adalora import AdaLoraModel
from peft.tuners.adamss import AdamssModel
from peft.tuners.adamss.layer import AdamssLayer

_ADALORA = ("ipt", "exp_avg_ipt", "exp_avg_unc")
_ADAMSS = ("exp_avg_ipt_A", "exp_avg_ipt_B", "exp_avg_unc_A", "exp_avg_unc_B")

RankState = dict[str, Any]
"""Plain values and tensors, so that it is read as data and never as code."""


def rank_state(adapted: PeftModel) -> RankState:
    """What the method remembers; empty for every other method."""
    match adapted.base_model:
        case AdaLoraModel() as model:
            remembered = vars(model.rankallocator)
            return {
                "importance": {name: dict(remembered[name]) for name in _ADALORA},
                "rank_pattern": cast("AdaLoraConfig", adapted.active_peft_config).rank_pattern,
            }
        case AdamssModel() as model:
            return {
                "importance": {
                    name: {key: dict(vars(layer)[key]) for key in _ADAMSS}
                    for name, layer in _layers(model).items()
                },
                "trained": [name for name, p in adapted.named_parameters() if p.requires_grad],
            }
        case _:
            return {}


def restore_rank_state(adapted: PeftModel, state: RankState) -> None:
    """Put back what `rank_state` returned; nothing for every other method."""
    match adapted.base_model:
        case AdaLoraModel() as model:
            vars(model.rankallocator).update(state["importance"])
            cast("AdaLoraConfig", adapted.active_peft_config).rank_pattern = state["rank_pattern"]
        case AdamssModel() as model:
            for name, layer in _layers(model).items():
                vars(layer).update(state["importance"][name])
            trained = set(state["trained"])
            for name, parameter in adapted.named_parameters():
                parameter.requires_grad_(name in trained)
        case _:
            pass


def _layers(model: AdamssModel) -> dict[str, AdamssLayer]:
    return {name: m for name, m in model.named_modules() if isinstance(m, AdamssLayer)}
