"""From a checkpoint to the folder that ships in the package.

The averaged weights, rounded to bfloat16, with configuration, tokenizer and chat template, as
`from_pretrained` of transformers takes them.
"""

from __future__ import annotations

from pathlib import Path

from transformers import GenerationConfig

from pretraining.train import load_average, prepare_tokenizer
from tunelab.errors import ModelError

LARGEST = 12_000_000
"""Bytes of the weights that may ship."""


def export(folder: Path, *, to: Path) -> None:
    """Write the model of a pretraining folder to `to`.

    Raises:
        ModelError: the weights are too large to ship.
    """
    tokenizer = prepare_tokenizer(folder)
    model, _ = load_average(folder, tokenizer)
    size = 2 * model.num_parameters()
    if size > LARGEST:
        raise ModelError(
            f"The weights would take {size:,} bytes; {LARGEST:,} may ship.",
            hint="Make the model smaller in pretraining/start.py.",
        )
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    model.bfloat16().save_pretrained(to)
    tokenizer.save_pretrained(to)
