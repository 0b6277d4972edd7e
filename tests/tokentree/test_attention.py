"""Masks: the comparison that defines a tree, in the form transformers' decoders take."""

from __future__ import annotations

import pytest
import torch
from tests.tokentree.small import ARCHITECTURES, EXAMPLES, SLIDING, WIDE, decoder
from transformers import AutoConfig, AutoModelForCausalLM

from tunelab.tokentree import build_tree
from tunelab.tokentree.attention import attention_masks, can_share, layer_windows, visible

CASES = [
    *((name, False) for name in ARCHITECTURES),
    *((name, True) for name in SLIDING),
]


def test_a_token_sees_its_ancestors_and_itself() -> None:
    tree = build_tree(EXAMPLES)
    seen = visible(tree)
    for place in range(len(tree)):
        assert seen[place].nonzero().flatten().tolist() == tree.path(place).tolist()


@pytest.mark.parametrize(("name", "sliding"), CASES)
@torch.no_grad()
def test_a_tree_gives_the_logits_of_its_sequences(name: str, sliding: bool) -> None:
    model = decoder(name, sliding=sliding)
    tree = build_tree(EXAMPLES)
    positions = torch.from_numpy(tree.positions)
    masks = attention_masks(model, visible(tree), positions, positions, dtype=torch.float32)
    assert can_share(model) is None
    assert (layer_windows(model) != layer_windows(decoder(name))) == sliding
    logits = model(
        input_ids=torch.from_numpy(tree.tokens)[None],
        attention_mask=masks,
        position_ids=positions[None],
        use_cache=False,
    ).logits[0]
    for example, leaf in zip(EXAMPLES, tree.leaves, strict=True):
        alone = model(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0]
        torch.testing.assert_close(logits[tree.path(int(leaf))], alone, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_window_counts_positions_not_places() -> None:
    """Twenty siblings between a question and its paragraph would push the paragraph out."""
    model = decoder("mistral", sliding=True)
    seen = torch.ones(1, 3, dtype=torch.bool)
    query, keys = torch.tensor([9]), torch.tensor([4, 5, 9])
    mask = attention_masks(model, seen, query, keys, dtype=torch.float32)
    assert isinstance(mask, torch.Tensor)
    assert mask.shape == (1, 1, 1, 3)
    assert (mask == 0).flatten().tolist() == [False, True, True]


BLOOM = {"vocab_size": 97, "hidden_size": 32, "n_layer": 2, "n_head": 4}


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("bloom", BLOOM, "takes no position_ids"),
        ("mamba", {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}, "running state"),
        ("falcon", WIDE | {"alibi": True}, "ALiBi"),
        (
            "gpt_neo",
            {"vocab_size": 97, "hidden_size": 32, "num_layers": 2, "num_heads": 4}
            | {"attention_types": [[["global", "local"], 1]]},
            "local layers",
        ),
        (
            "qwen3_next",
            WIDE | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"]},
            "linear_attention",
        ),
    ],
)
def test_what_cannot_read_a_tree_is_told(name: str, fields: dict[str, object], reason: str) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **fields))
    assert reason in (can_share(model) or "")
