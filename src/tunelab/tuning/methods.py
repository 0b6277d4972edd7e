"""A tuning of the recipe -> the PEFT configuration that carries it out.

PEFT's own registry says which methods there are and which options each takes; nothing is listed
here a second time. A head that came with the task is trained and stored with every method; the
output layer of a decoder is pretrained and stays as it is.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import peft
from peft.config import PeftConfig, PromptLearningConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
from torch import nn
from transformers import PreTrainedModel

from tunelab.errors import TuningError, did_you_mean
from tunelab.recipe.schema import (
    LoraTuning,
    PeftTuning,
    PrefixTuning,
    PromptTuning,
    Recipe,
    StackTuning,
    Tuning,
)
from tunelab.tuning.layers import (
    ALL_LINEAR,
    is_decoder,
    match_targets,
    new_head,
    normalisations,
)

AdapterTuning = LoraTuning | PrefixTuning | PromptTuning | PeftTuning

INTO_LAYERS = ("prefix_tuning", "cartridge")
"""Methods whose virtual tokens are keys and values of every layer, not inputs."""

_OWN = frozenset({"none", "full", "head", "lora", "prefix", "prompt", "stack"})
_OURS_TO_SET = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "inference_mode",
        "peft_type",
        "peft_version",
        "revision",
        "runtime_config",
        "task_type",
    }
)
_CHOOSES_ALONE = ("adaption_prompt",)
_VIRTUAL_TOKENS = 20


def peft_methods() -> dict[str, type[PeftConfig]]:
    """Lower-case name -> configuration class of every method that the installed PEFT knows."""
    return {kind.value.lower(): config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


def allowed_options(method: str) -> tuple[str, ...]:
    """The options a recipe may give for a PEFT method, in alphabetical order."""
    fields = {field.name for field in dataclasses.fields(_config_class(method))}
    return tuple(sorted(fields - _OURS_TO_SET))


def check_options(tuning: PeftTuning) -> None:
    """Refuse a method that PEFT does not have, or options that the method does not have.

    Raises:
        TuningError: with the names that are allowed.
    """
    allowed = allowed_options(tuning.kind)
    for option in tuning.options:
        if option not in allowed:
            raise TuningError(
                f"The PEFT method '{tuning.kind}' has no option '{option}'.",
                hint=did_you_mean(option, allowed),
            )


def virtual_tokens(tuning: Tuning) -> int:
    """Tokens that a method puts in front of every text of a decoder."""
    match tuning:
        case PrefixTuning(virtual_tokens=count) | PromptTuning(virtual_tokens=count):
            return count
        case StackTuning(parts=(_, PrefixTuning() | PromptTuning() as virtual)):
            return virtual.virtual_tokens
        case PeftTuning() if issubclass(_config_class(tuning.kind), PromptLearningConfig):
            return tuning.options.get("num_virtual_tokens", _VIRTUAL_TOKENS)
        case _:
            return 0


def text_room(recipe: Recipe) -> int:
    """Tokens of a text that a tuned decoder reads at most, beside the virtual ones."""
    return recipe.model.max_length - virtual_tokens(recipe.tuning)


def peft_config(
    model: PreTrainedModel,
    tuning: AdapterTuning,
    *,
    total_steps: int,
    new_tokens: Sequence[int] = (),
) -> PeftConfig:
    """The PEFT configuration of a tuning, for one checkpoint.

    Methods that adapt layers get PEFT's own choice of layers for the architecture where the recipe
    names none, and all linear layers of the backbone where PEFT has no choice (`ln_tuning`: all
    normalisation layers). `lora` always follows its own `targets`.

    Raises:
        TuningError: no such method, no such option, or a value that PEFT refuses.
    """
    match tuning:
        case LoraTuning():
            return _build(
                model,
                "lora",
                {
                    "r": tuning.rank,
                    "lora_alpha": tuning.alpha,
                    "lora_dropout": tuning.dropout,
                    "target_modules": list(match_targets(model, tuning.targets)),
                    "use_dora": tuning.dora,
                    "use_rslora": tuning.rslora,
                    "init_lora_weights": True if tuning.init == "default" else tuning.init,
                    "trainable_token_indices": list(new_tokens) or None,
                },
            )
        case PrefixTuning(virtual_tokens=count):
            options = {"num_virtual_tokens": count} | _shape(model, "prefix_tuning")
            return _build(model, "prefix_tuning", options)
        case PromptTuning(virtual_tokens=count):
            options = {"num_virtual_tokens": count} | _shape(model, "prompt_tuning")
            return _build(model, "prompt_tuning", options)
        case PeftTuning():
            return _by_name(model, tuning, total_steps=total_steps)


def _by_name(model: PreTrainedModel, tuning: PeftTuning, *, total_steps: int) -> PeftConfig:
    check_options(tuning)
    name = tuning.kind
    allowed = allowed_options(name)
    if new_head(model) and "modules_to_save" not in allowed:
        raise TuningError(
            f"The PEFT method '{name}' cannot store a trained head in its adapter, so it cannot "
            "be used for a task that trains one.",
            hint="`tunelab methods` lists the others.",
        )
    options = dict(tuning.options)
    if "target_modules" in allowed:
        options |= _targets(model, name, options)
    if issubclass(_config_class(name), PromptLearningConfig):
        options.setdefault("num_virtual_tokens", _VIRTUAL_TOKENS)
        options = _shape(model, name) | options
    if "total_step" in allowed:
        options.setdefault("total_step", total_steps)
    return _build(model, name, options)


def _targets(model: PreTrainedModel, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`target_modules` where the recipe leaves them open; `all-linear` never means the head."""
    everything = {"target_modules": list(match_targets(model, [ALL_LINEAR]))}
    match options.get("target_modules"):
        case None:
            if name in _CHOOSES_ALONE or model.config.model_type in _own_choice(name):
                return {}
            if name == "ln_tuning":
                return {"target_modules": list(normalisations(model))}
            # (IA)3 scales the inputs of feed-forward layers and the outputs of all others.
            return everything | ({"feedforward_modules": []} if name == "ia3" else {})
        case str(target) if target == ALL_LINEAR:
            return everything
        case given:
            return {"target_modules": given}


def _own_choice(name: str) -> Mapping[str, object]:
    """Architecture -> the layers PEFT itself adapts; (IA)3 keeps them apart from its class."""
    if name == "ia3":
        return TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
    return PEFT_TYPE_TO_TUNER_MAPPING[peft.PeftType(name.upper())].target_module_mapping


def _shape(model: PreTrainedModel, name: str) -> dict[str, int]:
    """Sizes of virtual tokens, which PEFT cannot read off every configuration (DistilBERT's).

    In front of the input they stand beside word embeddings, which may be narrower than the layers
    (ELECTRA's); inside the layers they are keys and values.
    """
    layers = {"num_layers": model.config.num_hidden_layers}
    if name not in INTO_LAYERS:  # heads play no part there, but PEFT asks for their number
        embeddings = cast("nn.Embedding", model.get_input_embeddings())
        return layers | {"token_dim": embeddings.embedding_dim, "num_attention_heads": 1}
    if "past_key_values" not in inspect.signature(model.base_model.forward).parameters:
        raise TuningError(
            f"{type(model).__name__} cannot be prefix-tuned: its layers take no past keys and "
            "values.",
            hint="Use tuning.kind=prompt (virtual tokens at the input) or lora instead.",
        )
    heads = {"num_attention_heads": model.config.num_attention_heads}
    return layers | heads | {"token_dim": model.config.hidden_size}


def _config_class(method: str) -> type[PeftConfig]:
    methods = peft_methods()
    if method not in methods:
        raise TuningError(
            f"There is no tuning method '{method}'.",
            hint=did_you_mean(method, {*methods, *_OWN}),
        )
    return methods[method]


def _build(model: PreTrainedModel, method: str, options: Mapping[str, Any]) -> PeftConfig:
    """Make the configuration; what PEFT refuses is told as the user's mistake."""
    arguments: dict[str, Any] = {**options, "task_type": _task(model, method)}
    if head := new_head(model):
        arguments["modules_to_save"] = [*head, *(options.get("modules_to_save") or ())]
    try:
        return _config_class(method)(**arguments)
    except (TypeError, ValueError, ImportError) as error:
        raise TuningError(f"PEFT refuses these options of '{method}': {error}") from error


def _task(model: PreTrainedModel, method: str) -> peft.TaskType | None:
    """PEFT's class for the adapter, and so the one that a user's PEFT will load it with.

    PEFT's question answering class drops token_type_ids and position_ids on their way to the model
    (0.21), so on encoders only prompts, which this project runs itself, are given a task type: it
    makes PEFT train and store the head. The others are stored for PEFT's neutral class.
    """
    if is_decoder(model):
        return peft.TaskType.CAUSAL_LM
    prompts = issubclass(_config_class(method), PromptLearningConfig)
    return peft.TaskType.QUESTION_ANS if prompts else None
