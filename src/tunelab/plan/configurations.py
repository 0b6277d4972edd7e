"""Where the configuration of a model comes from: its checkpoint, or the facts that ship here.

A checkpoint that is at hand is asked itself. Of models that published projects name and that
cannot be read here, `configurations.json` has the facts of config.json: a plan needs no weights.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from tunelab.errors import ModelError, did_you_mean
from tunelab.models.checkpoint import BUNDLED
from tunelab.models.loading import load_config
from tunelab.recipe import Model

ALSO_KNOWN_AS = {
    "distilbert/distilbert-base-uncased": "distilbert-base-uncased",
    "google-bert/bert-base-uncased": "bert-base-uncased",
    "huggyllama/llama-33b": "huggyllama/llama-30b",
    "decapoda-research/llama-7b-hf": "huggyllama/llama-7b",
    "decapoda-research/llama-13b-hf": "huggyllama/llama-13b",
    "decapoda-research/llama-30b-hf": "huggyllama/llama-30b",
    "decapoda-research/llama-65b-hf": "huggyllama/llama-65b",
}
"""Other names of one model: what Meta calls 33B is 30B on the hub."""


def find_config(settings: Model) -> tuple[PretrainedConfig, str]:
    """The configuration of a recipe's model, and a note where it is not the checkpoint's own.

    Raises:
        ModelError: the checkpoint cannot be read, and no facts of it ship here.
    """
    try:
        return load_config(settings), ""
    except ModelError as error:
        facts = shipped(settings.path)
        if facts is None:
            known = [*BUNDLED, *_facts(), *ALSO_KNOWN_AS]
            raise ModelError(
                error.problem,
                hint=f"{did_you_mean(settings.path, known)} Or give a folder with its config.json: "
                "without the checkpoint a plan needs its configuration.",
            ) from error
    config = AutoConfig.for_model(**facts)
    if settings.dropout is not None:
        rates = [name for name, value in config.to_dict().items() if _is_rate(name, value)]
        config.update(dict.fromkeys(rates, settings.dropout))
    return config, f"the configuration of {settings.path} is the one that ships with tunelab"


def shipped(name: str) -> dict[str, Any] | None:
    """The facts of a model by its hub id; None where there are none."""
    facts = _facts().get(ALSO_KNOWN_AS.get(name, name))
    if facts is None:
        return None
    own = {key: value for key, value in facts.items() if key != "like"}
    return (shipped(facts["like"]) or {}) | own if "like" in facts else own


def shipped_names() -> list[str]:
    """All hub ids."""
    return list(_facts())


@cache
def _facts() -> dict[str, dict[str, Any]]:
    text = resources.files("tunelab.plan").joinpath("configurations.json").read_text()
    return {name: facts for name, facts in json.loads(text).items() if name != "about"}


def _is_rate(name: str, value: object) -> bool:
    return "dropout" in name and isinstance(value, float)
