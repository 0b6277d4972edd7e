"""What a tree teaches is what its sequences teach one by one, on every architecture and method."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokentree.measure import (
    METHODS,
    VIRTUAL,
    plain_gradients,
    plain_log_probs,
    relative_difference,
    tree_gradients,
    tuned_decoder,
)
from tests.tokentree.small import ARCHITECTURES, EXAMPLES, SLIDING, bloom, decoder, output_weight

from tunelab.errors import ModelError, TuningError
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree import build_tree, one_by_one, pack
from tunelab.tokentree.head import proven_head
from tunelab.tokentree.reading import CHUNK, sequence_log_probs, target_log_probs

LIMIT = 1e-5
FAST = [
    ("llama", "lora", False),
    ("gemma2", "full", True),
    ("gpt2", "prompt", False),
    ("mistral", "prefix", True),
]
ALL = [
    *((name, method, False) for name in ARCHITECTURES for method in METHODS),
    *((name, method, True) for name in SLIDING for method in METHODS),
]


@pytest.mark.parametrize(
    ("name", "method", "sliding"),
    [
        pytest.param(*case, marks=() if case in FAST else pytest.mark.slow)
        for case in sorted(ALL, key=lambda case: case not in FAST)
    ],
)
def test_a_tree_has_the_gradients_of_its_examples(name: str, method: str, sliding: bool) -> None:
    """Against transformers' and PEFT's own forward passes, one example at a time."""
    tuned = tuned_decoder(name, method, sliding=sliding)
    rows = pack(EXAMPLES, tokens_per_pass=100)
    assert [len(row.examples) for row in rows] == [len(EXAMPLES)]
    wanted = plain_gradients(tuned, EXAMPLES)
    assert relative_difference(tree_gradients(tuned, rows), wanted) <= LIMIT
    cut = pack(EXAMPLES, tokens_per_pass=18)
    assert len(cut) > 1
    assert relative_difference(tree_gradients(tuned, cut), wanted) <= LIMIT
    assert relative_difference(tree_gradients(tuned, one_by_one(EXAMPLES)), wanted) <= LIMIT


@pytest.mark.parametrize("method", ["lora", "prefix", "prompt"])
@torch.no_grad()
def test_alternatives_are_scored_as_alone(method: str) -> None:
    tuned = tuned_decoder("llama", method)
    tree = build_tree(EXAMPLES)
    scores = sequence_log_probs(tuned.checkpoint, tree, EXAMPLES, virtual=tuned.virtual())
    alone = [plain_log_probs(tuned, example) for example in EXAMPLES]
    wanted = torch.stack([each.sum() for each in alone])
    torch.testing.assert_close(scores.log_probs, wanted, rtol=0, atol=1e-4)
    assert scores.counts.tolist() == [len(each) for each in alone]


@st.composite
def sequences(draw: st.DrawFn) -> EncodedExample:
    """Few different tokens, so that much is shared; targets anywhere but at the beginning."""
    ids = draw(st.lists(st.integers(3, 5), min_size=1, max_size=9))
    later = draw(st.lists(st.booleans(), min_size=len(ids) - 1, max_size=len(ids) - 1))
    return EncodedExample(tuple(ids), (False, *later))


@settings(max_examples=20, deadline=None)
@given(st.lists(sequences(), min_size=1, max_size=6))
@torch.no_grad()
def test_any_tree_scores_its_sequences_as_alone(examples: list[EncodedExample]) -> None:
    tuned = tuned_decoder("mistral", "full", sliding=True)
    scores = sequence_log_probs(tuned.checkpoint, build_tree(examples), examples)
    wanted = [plain_log_probs(tuned, each).sum() for each in examples]
    torch.testing.assert_close(scores.log_probs, torch.stack(wanted), rtol=0, atol=1e-4)
    assert scores.counts.tolist() == [sum(each.targets) for each in examples]


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_the_head_gives_the_models_own_logits(name: str) -> None:
    model = decoder(name)
    ids = torch.tensor([EXAMPLES[0].ids])
    wanted = model(input_ids=ids).logits
    hidden = model.base_model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(proven_head(model).logits(hidden), wanted, rtol=1e-6, atol=1e-6)


def test_a_head_that_is_not_understood_is_refused() -> None:
    model = decoder("cohere")
    model.config.logit_scale = 0.5  # the model itself took 0.25 when it was made
    with pytest.raises(ModelError, match="in a way that tunelab does not know"):
        target_log_probs(model, build_tree(EXAMPLES))


def test_logits_are_held_by_the_chunk_only() -> None:
    model = decoder("llama")
    tree = build_tree(EXAMPLES)
    held: list[torch.Size] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor.shape)
        return tensor

    def gradient(chunk: int) -> torch.Tensor:
        held.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = target_log_probs(model, tree, chunk=chunk).sum()
        return torch.autograd.grad(loss, output_weight(model))[0]

    targets = int((tree.weights > 0).sum())
    logits = torch.Size([targets, model.config.vocab_size])
    assert 5 < targets <= CHUNK
    whole = gradient(CHUNK)
    assert logits in held
    chunked = gradient(2)
    assert not [shape for shape in held if shape[-1:] == logits[-1:] and shape != (97, 32)]
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ["full", "lora", "prompt"])
def test_gradient_checkpointing_changes_nothing(method: str) -> None:
    tuned = tuned_decoder("llama", method)
    rows = pack(EXAMPLES, tokens_per_pass=100)
    wanted = tree_gradients(tuned, rows)
    tuned.checkpoint.gradient_checkpointing_enable()
    tuned.model.train()
    calls: list[int] = []
    layer = next(m for m in tuned.model.modules() if type(m).__name__ == "LlamaMLP")
    layer.register_forward_pre_hook(lambda *_: calls.append(1))
    assert relative_difference(tree_gradients(tuned, rows), wanted) <= LIMIT
    assert len(calls) == 2


def test_prefix_tuning_with_gradient_checkpointing_is_refused() -> None:
    """The layers would drop the prefix when they are computed again."""
    tuned = tuned_decoder("llama", "prefix")
    tuned.checkpoint.gradient_checkpointing_enable()
    tuned.model.train()
    with pytest.raises(TuningError, match="gradient checkpointing"):
        tree_gradients(tuned, pack(EXAMPLES, tokens_per_pass=100))


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_too_many_virtual_tokens_are_told(method: str) -> None:
    longest = max(len(each.ids) for each in EXAMPLES)
    rows = pack(EXAMPLES, tokens_per_pass=100)
    tree_gradients(tuned_decoder("gpt2", method, n_positions=longest + VIRTUAL), rows)
    tuned = tuned_decoder("gpt2", method, n_positions=longest + VIRTUAL - 1)
    with pytest.raises(TuningError, match=f"(?s)6 virtual tokens.*max_length={longest - 1} or"):
        tree_gradients(tuned, rows)


def test_autocast_reads_a_tree_too() -> None:
    model = decoder("llama")
    tree = build_tree(EXAMPLES)
    wanted = target_log_probs(model, tree)
    with torch.autocast("cpu", torch.bfloat16):
        found = target_log_probs(model, tree)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.3)


def test_a_model_that_cannot_share_reads_one_example_a_row() -> None:
    model = bloom()
    for row, example in zip(one_by_one(EXAMPLES[:1]), EXAMPLES, strict=False):
        logits = model(input_ids=torch.tensor([example.ids])).logits[0, :-1].log_softmax(-1)
        wanted = logits.gather(1, torch.tensor(example.ids)[1:, None])[-3:, 0]
        torch.testing.assert_close(target_log_probs(model, row.tree), wanted, rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match=r"(?s)takes no position_ids.*share_prefix=false"):
        target_log_probs(model, build_tree(EXAMPLES))
