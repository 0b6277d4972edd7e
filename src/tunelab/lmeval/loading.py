"""A decoder by the name that lm-eval is given, with settings laid over its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from transformers import PreTrainedTokenizerBase

from tunelab.errors import ModelError, UsageError
from tunelab.recipe import Model, Prompt, validate
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.source import find_source, load_source
from tunelab.tuning import TunedModel


def load_for_lm_eval(
    name: str, changes: Mapping[str, object], *, device: str | None
) -> tuple[Model, TunedModel, PreTrainedTokenizerBase]:
    """Load what `name` stands for (see `find_source`), in evaluation mode.

    Args:
        name: a run, an adapter, a checkpoint.
        changes: settings of `model` in a recipe, such as `quantize`.
        device: as torch writes it; if not given, CUDA where there is one.

    Returns:
        How it was loaded; the model; its tokenizer.

    Raises:
        UsageError: `changes` do not fit, or as `find_source`.
        ModelError: it is no decoder, or as `find_source`.
        RecordError: as `find_source`.
    """
    found = find_source(name)
    raw = found.recipe.model_dump(mode="json", exclude_none=True)
    raw["model"] |= changes
    if not found.recipe.prompt.reasoning_tokens:
        raw["prompt"] = Prompt().model_dump(exclude_none=True)  # lm-eval writes the prompts
    family = load_source(replace(found, recipe=validate(raw, source="--model_args")))
    if not isinstance(family, DecoderFamily):
        raise ModelError(
            f"'{name}' reads both ways: it gives no probability to text that follows.",
            hint="Give a causal language model.",
        )
    model = family.tuned.model.requires_grad_(False).eval()
    if device is not None and not _is_on(family.tuned.checkpoint.device, torch.device(device)):
        if found.recipe.model.quantize != "none" or "quantize" in changes:
            raise UsageError(
                f"A quantised model stays on {family.tuned.checkpoint.device}; {device} was asked.",
                hint="Leave --device out.",
            )
        model.to(torch.device(device))
    return validate(raw, source="--model_args").model, family.tuned, family.tokenizer


def _is_on(place: torch.device, asked: torch.device) -> bool:
    """Whether `place` is what was asked for: `cuda` without a number is any of them."""
    return place.type == asked.type and asked.index in (None, place.index)
