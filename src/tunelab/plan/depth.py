"""Deep models from shallow ones: all layers are alike, so that two depths tell any other.

Going through 80 layers op by op takes long and shows the same thing 80 times. What a run needs is a
straight line in the number of layers, but for where its peak lies; so two shallow twins of a model
are gone through, and the line is drawn on. A model whose layers differ is gone through as it is,
and so is one that this cannot make shallower.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields

from transformers import PretrainedConfig

from tunelab.errors import TunelabError
from tunelab.plan.counted import counted
from tunelab.plan.drawn import Drawn
from tunelab.plan.rehearsal import Parts, Rehearsal, rehearse
from tunelab.plan.simulated import Sizes, simulate
from tunelab.recipe import Recipe

DEPTHS = (2, 4)
_LAYERS = "num_hidden_layers"


@dataclass(frozen=True, slots=True)
class Found:
    """What a run needs, and the sizes of its model."""

    rehearsal: Rehearsal
    sizes: Sizes
    note: str = ""
    """Where it was not gone through."""


def rehearsed(
    recipe: Recipe,
    config: PretrainedConfig,
    drawn: Drawn,
    *,
    reads_both_ways: bool,
    on_cpu: bool,
) -> Found:
    """What a run needs; counted by module where its model cannot be gone through.

    Raises:
        TuningError: the method does not fit the model.
    """

    def go(shallow: PretrainedConfig) -> Found:
        sim = simulate(recipe, shallow, reads_both_ways=reads_both_ways)
        try:
            return Found(rehearse(sim, recipe, drawn, on_cpu=on_cpu), sim.sizes)
        except TunelabError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an unknown architecture does
            return Found(counted(sim, recipe, drawn), sim.sizes, _told(error))

    layers = config.to_dict().get(config.attribute_map.get(_LAYERS, _LAYERS))
    if not isinstance(layers, int) or layers <= DEPTHS[1] or not _alike(config):
        return go(config)
    low, high = (go(_shallow(config, depth)) for depth in DEPTHS)

    def line(first: float, second: float) -> int:
        slope = (second - first) / (DEPTHS[1] - DEPTHS[0])
        return round(second + slope * (layers - DEPTHS[1]))

    return Found(
        _drawn_on(low.rehearsal, high.rehearsal, line),
        _sizes_drawn_on(low.sizes, high.sizes, line),
        high.note,
    )


def _told(error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"assumed: memory is counted by module, since this model cannot be gone through: {reason}"
    )


def _alike(config: PretrainedConfig) -> bool:
    """Whether one layer is as the next; several stacks or kinds of layers are not."""
    told = config.to_dict()
    kinds = set(told.get("layer_types") or ())
    return len(kinds) <= 1 and not told.get("is_encoder_decoder") and not told.get("text_config")


def _shallow(config: PretrainedConfig, layers: int) -> PretrainedConfig:
    shallow = copy.deepcopy(config)
    shallow.update({config.attribute_map.get(_LAYERS, _LAYERS): layers})
    if kinds := config.to_dict().get("layer_types"):
        shallow.update({"layer_types": kinds[:layers]})
    return shallow


def _drawn_on(low: Rehearsal, high: Rehearsal, line: Callable[[float, float], int]) -> Rehearsal:
    phases = {name: line(low.phases[name], high.phases[name]) for name in high.phases}
    parts = None
    if low.parts is not None and high.parts is not None:
        ends = zip(_values(low.parts), _values(high.parts), strict=True)
        parts = Parts(*(line(*pair) for pair in ends))
    return Rehearsal(
        phases=phases,
        parts=parts,
        flops_step=line(low.flops_step, high.flops_step),
        step_tokens=high.step_tokens,
        flops_asked=line(low.flops_asked, high.flops_asked),
        keys_and_values=line(low.keys_and_values, high.keys_and_values),
    )


def _sizes_drawn_on(low: Sizes, high: Sizes, line: Callable[[float, float], int]) -> Sizes:
    return Sizes(*(line(*pair) for pair in zip(_values(low), _values(high), strict=True)))


def _values(record: Parts | Sizes) -> list[int]:
    return [getattr(record, field.name) for field in fields(record)]
