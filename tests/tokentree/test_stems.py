"""Plans of what is read once, and scores that do not depend on them."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokentree.measure import tuned_decoder
from tests.tokentree.small import VOCABULARY, bloom, decoder
from transformers import PreTrainedModel

from tunelab.tokentree.scoring import score_continuations
from tunelab.tokentree.stems import Continuation, Stem, Tokens, plan_stems


def paths(stem: Stem, before: Tokens = ()) -> dict[int, Tokens]:
    """Of each continuation the tokens that are kept when it is read."""
    path = before + stem.tokens
    found = {index: path for row in stem.rows for index in row}
    for longer in stem.stems:
        found |= paths(longer, path)
    return found


def five_shot() -> list[Continuation]:
    """Two subjects of 70 tokens in front, eight questions each, three letters and a long choice."""
    draw = random.Random(0)
    asked: list[Continuation] = []
    for _ in range(2):
        shots = tuple(draw.choices(range(3, VOCABULARY), k=70))
        for _ in range(8):
            question = (1, *shots, *draw.choices(range(3, VOCABULARY), k=draw.randint(4, 9)))
            asked += [Continuation(question, (letter,)) for letter in (5, 6, 7)]
            asked.append(Continuation(question, (8, 9, *draw.choices(range(3, 9), k=3))))
    draw.shuffle(asked)
    return asked


def alone(model: PreTrainedModel, each: Continuation) -> tuple[float, bool]:
    with torch.no_grad():
        logits = model(torch.tensor([each.inputs])).logits[0, len(each.context) - 1 :]
    wanted = torch.tensor(each.targets)
    log_probs = logits.log_softmax(1).gather(1, wanted[:, None])
    return float(log_probs.sum()), bool((logits.argmax(1) == wanted).all())


def test_shots_become_stems_and_rows_fit_the_budget() -> None:
    asked = five_shot()
    plan = plan_stems(asked, tokens_per_pass=64)
    assert not plan.rows  # the single token that all share is not worth a pass
    assert [len(stem.tokens) for stem in plan.stems] == [71, 71]
    for stem in plan.stems:
        for row in stem.rows:
            assert sum(len(asked[index].inputs) - 71 for index in row[:1]) <= 64
    assert sum(len(stem.rows) for stem in plan.stems) < 8


def test_short_beginnings_are_repeated() -> None:
    asked = [Continuation((1, 2, 3, index), (9,)) for index in range(10, 40)]
    plan = plan_stems(asked, tokens_per_pass=8)
    assert not plan.stems
    assert {len(row) for row in plan.rows} == {5}


def test_everything_that_fits_is_one_row() -> None:
    plan = plan_stems(five_shot(), tokens_per_pass=1000)
    assert len(plan.rows) == 1
    assert plan.stems == ()
    assert plan_stems([], tokens_per_pass=8) == Stem((), (), ())


token_lists = st.lists(st.integers(1, 3), min_size=1, max_size=9).map(tuple)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=25),
    st.integers(1, 30),
    st.integers(1, 4),
)
def test_every_continuation_is_read_once_behind_its_own_beginning(
    pairs: list[tuple[Tokens, Tokens]], budget: int, least: int
) -> None:
    asked = [Continuation(*pair) for pair in pairs]
    found = paths(plan_stems(asked, tokens_per_pass=budget, least=least))
    assert sorted(found) == list(range(len(asked)))
    for index, path in found.items():
        assert asked[index].context[: len(path)] == path
        assert len(path) < len(asked[index].context)


@pytest.mark.parametrize(
    ("name", "sliding"),
    [("llama", False), ("mistral", True), ("gemma3_text", True), ("gpt2", False), ("opt", False)],
)
@pytest.mark.parametrize("budget", [40, 200, 1000])
def test_scores_are_those_of_each_alone(name: str, sliding: bool, budget: int) -> None:
    model = decoder(name, sliding=sliding)
    asked = five_shot()
    counted: list[int] = []
    found = score_continuations(model, asked, tokens_per_pass=budget, advance=counted.append)
    assert sum(counted) == len(asked)
    for each, scored in zip(asked, found, strict=True):
        log_prob, greedy = alone(model, each)
        assert scored.log_prob == pytest.approx(log_prob, abs=1e-4)
        assert scored.greedy == greedy


@pytest.mark.parametrize("method", ["lora", "prefix", "prompt"])
def test_adapters_are_read_with(method: str) -> None:
    tuned = tuned_decoder("llama", method)
    asked = five_shot()[:12]
    scored = {
        (share, budget): score_continuations(
            tuned.checkpoint,
            asked,
            virtual=tuned.virtual(),
            share=share,
            tokens_per_pass=budget,
            advance=lambda _: None,
        )
        for share, budget in ((False, 1), (True, 40), (True, 1000))
    }
    wanted = [each.log_prob for each in scored.pop((False, 1))]
    for found in scored.values():
        assert [each.log_prob for each in found] == pytest.approx(wanted, abs=1e-4)
    untuned = score_continuations(tuned.checkpoint, asked, advance=lambda _: None)
    if method != "lora":  # whose matrices lie in the checkpoint itself
        assert [each.log_prob for each in untuned] != pytest.approx(wanted, abs=1e-2)


def test_a_model_that_cannot_share_reads_one_by_one() -> None:
    model = bloom()
    asked = five_shot()[:6]
    found = score_continuations(model, asked, advance=lambda _: None)
    for each, scored in zip(asked, found, strict=True):
        assert scored.log_prob == pytest.approx(alone(model, each)[0], abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_autocast_scores_what_it_scores_alone(name: str) -> None:
    """A rotary decoder: its rotated queries and keys are float32, its values bfloat16."""
    model = decoder(name)
    asked = five_shot()[:12]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = score_continuations(model, asked, tokens_per_pass=40, advance=lambda _: None)
    for each, scored in zip(asked, found, strict=True):
        assert scored.log_prob == pytest.approx(alone(model, each)[0], rel=0.05)


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_stand_before_a_model_in_bfloat16(method: str) -> None:
    """They are trained in float32."""
    tuned = tuned_decoder("llama", method, dtype=torch.bfloat16)
    asked = five_shot()[:12]
    together, one_by_one = (
        score_continuations(
            tuned.checkpoint,
            asked,
            virtual=tuned.virtual(),
            share=share,
            advance=lambda _: None,
        )
        for share in (True, False)
    )
    for found, wanted in zip(together, one_by_one, strict=True):
        assert found.log_prob == pytest.approx(wanted.log_prob, rel=0.1)
