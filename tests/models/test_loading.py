"""What is decided when a checkpoint is loaded."""

from __future__ import annotations

from pathlib import Path

from tests.tokentree.small import decoder
from transformers import AutoModelForCausalLM

from tunelab.models.loading import load_weights
from tunelab.recipe import Model


def test_capped_scores_get_the_attention_that_caps_them(tmp_path: Path) -> None:
    for name, wanted in (("gemma2", "eager"), ("llama", "sdpa")):
        decoder(name).save_pretrained(tmp_path / name)
        settings = Model(path=str(tmp_path / name), max_length=64)
        model, missing = load_weights(AutoModelForCausalLM, settings, seed=0)
        assert model.config._attn_implementation == wanted
        assert not missing
