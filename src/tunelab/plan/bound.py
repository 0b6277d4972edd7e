"""A bound on a run's memory in a few multiplications: is a plan needed before it starts?

Every term is taken larger than it is, whatever the method and the machine, from five figures of the
configuration. A run whose bound is well below the memory there is may start at once.
"""

from __future__ import annotations

from transformers import PretrainedConfig

from tunelab.plan.drawn import ANSWERED_TOKENS
from tunelab.recipe import FullTuning, Recipe

_PROCESS = 500e6
_FLOAT = 4
_COPIES_FULL, _COPIES_ADAPTER = 10, 5
"""Of the weights in float32: gradients, moments, a checkpoint that is put together, proofs."""
_HIDDEN, _INNER, _WEIGHTS = 40, 12, 6
"""Numbers that a layer keeps for a token, in widths of its hidden states, of its inner layer, and
of the attention weights of a head."""
_LOGITS = 512
"""Rows of logits at a time, their copies counted."""


def bound(recipe: Recipe, config: PretrainedConfig) -> float:
    """Bytes that a run will hardly need."""
    told = config.get_text_config().to_dict()

    def figure(name: str, otherwise: int) -> int:
        found = told.get(config.attribute_map.get(name, name))
        return found if isinstance(found, int) and found > 0 else otherwise

    hidden = figure("hidden_size", 4096)
    inner = figure("intermediate_size", 4 * hidden)
    layers, heads = figure("num_hidden_layers", 32), figure("num_attention_heads", 32)
    vocabulary = figure("vocab_size", 100_000)
    parameters = 2 * vocabulary * hidden + layers * (5 * hidden**2 + 3 * hidden * inner)
    full = isinstance(recipe.tuning, FullTuning)
    copies = _COPIES_FULL if full else _COPIES_ADAPTER
    tokens = max(recipe.training.tokens_per_pass, recipe.model.max_length)
    tokens = max(tokens, ANSWERED_TOKENS // layers)  # while answering one layer is kept at a time
    attention = _WEIGHTS * heads * min(recipe.model.max_length, tokens)
    activations = layers * tokens * (_HIDDEN * hidden + _INNER * inner + attention)
    answering = layers * 2 * ANSWERED_TOKENS * hidden + _LOGITS * vocabulary
    return _PROCESS + _FLOAT * (copies * parameters + activations + answering)
