"""Answers from a tree are the answers of transformers' own `generate`, one prompt at a time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from scipy import stats
from tests.tokentree.measure import plain_log_probs, tuned_decoder
from tests.tokentree.small import decoder
from tests.tokentree.toy import TOY_STOP, toy_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tunelab.errors import DataError
from tunelab.models.virtual import VirtualTokens
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.blocks import block_attention, cut_blocks, tree_attention
from tunelab.tokentree.decoding import Beams, Decoding, Generated, Greedy, Sample, Strategy
from tunelab.tokentree.generation import generate
from tunelab.tokentree.single import draw

DECODERS = [
    ("llama", False),
    ("qwen3", False),
    ("qwen3", True),
    ("gemma3_text", True),
    ("gpt2", False),
]
NEW = 10
CLOSE = 1e-4
"""Two tokens whose logits differ by less may change places through rounding."""


def prompts() -> list[list[int]]:
    """Two paragraphs, some questions on each; one prompt twice, one the beginning of another."""
    made = random.Random(0)
    result: list[list[int]] = []
    for _ in range(2):
        paragraph = [1] + [made.randrange(3, 97) for _ in range(14)]
        result += [
            paragraph + [made.randrange(3, 97) for _ in range(length)] for length in (2, 5, 3)
        ]
    return [*result, result[1], result[2][:-1]]


def answers(
    model: PreTrainedModel,
    given: Sequence[Sequence[int]],
    strategy: Strategy,
    *,
    virtual: VirtualTokens | None = None,
    share: bool = True,
    **settings: Any,
) -> list[Generated]:
    fields = {"max_new_tokens": NEW, "stop_ids": frozenset({TOY_STOP})}
    return generate(
        model,
        toy_tokenizer(),
        given,
        Decoding(strategy=strategy, **(fields | settings)),
        virtual=virtual,
        share=share,
        tokens_per_pass=60,
        advance=lambda _: None,
    )


def one_by_one(model: PreTrainedModel, prompt: Sequence[int], **settings: Any) -> tuple[int, ...]:
    """What transformers generates."""
    ids = torch.tensor([list(prompt)])
    output = model.generate(  # pyright: ignore[reportCallIssue]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=NEW,
        eos_token_id=TOY_STOP,
        pad_token_id=0,
        **settings,
    )
    tokens = output[0, len(prompt) :].tolist()
    end = tokens.index(TOY_STOP) + 1 if TOY_STOP in tokens else len(tokens)
    return tuple(tokens[:end])


@torch.inference_mode()
def logits_behind(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> Any:
    """(A, V) logits that the model, reading all in one go, predicts each answer token from."""
    ids = torch.tensor([[*prompt, *answer]])
    return model(input_ids=ids).logits[0, len(prompt) - 1 : -1]


def gap_at(model: PreTrainedModel, prompt: Sequence[int], ours: Any, theirs: Any) -> float:
    """How far the two best tokens are apart where two answers part."""
    common = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
    best = logits_behind(model, prompt, ours[: common + 1])[-1].topk(2).values
    return float(best[0] - best[1])


@pytest.mark.parametrize(("name", "sliding"), DECODERS)
def test_greedy_answers_are_those_of_transformers(name: str, sliding: bool) -> None:
    model = decoder(name, sliding=sliding)
    close = 0
    for prompt, ours in zip(prompts(), answers(model, prompts(), Greedy()), strict=True):
        theirs = one_by_one(model, prompt)
        if ours.ids != theirs:
            assert gap_at(model, prompt, ours.ids, theirs) < CLOSE
            close += 1
        assert ours.finished == ("stop" if theirs[-1] == TOY_STOP else "length")
    assert close <= 1


@pytest.mark.parametrize(("name", "sliding"), DECODERS)
def test_log_probabilities_are_those_of_a_plain_forward_pass(name: str, sliding: bool) -> None:
    model = decoder(name, sliding=sliding)
    for strategy in (Greedy(), Beams(3), Sample(temperature=2.0, top_p=0.9)):
        for prompt, found in zip(prompts(), answers(model, prompts(), strategy), strict=True):
            logits = logits_behind(model, prompt, found.ids).log_softmax(dim=1)
            expected = logits.gather(1, torch.tensor(found.ids)[:, None]).sum()
            assert found.log_prob == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "sliding", "penalty"),
    [*((*each, 1.0) for each in DECODERS), ("llama", False, 0.0), ("llama", False, 2.0)],
)
def test_beams_are_those_of_transformers(name: str, sliding: bool, penalty: float) -> None:
    model = decoder(name, sliding=sliding)
    same = 0
    for prompt, ours in zip(
        prompts(), answers(model, prompts(), Beams(4, length_penalty=penalty)), strict=True
    ):
        same += ours.ids == one_by_one(model, prompt, num_beams=4, length_penalty=penalty)
    assert same == len(prompts())


@pytest.mark.parametrize("strategy", [Greedy(), Beams(3), Sample(temperature=1.5, seed=3)])
def test_answers_do_not_depend_on_which_prompts_are_read_together(strategy: Strategy) -> None:
    model = decoder("llama")
    together = answers(model, prompts(), strategy)
    given = prompts()[:-2]  # a prompt that comes twice is drawn for twice
    backwards = answers(model, given[::-1], strategy)[::-1]
    alone = [answers(model, [prompt], strategy)[0] for prompt in given]
    for one, two, three in zip(together, backwards, alone, strict=False):
        assert one.ids == two.ids == three.ids
        assert one.log_prob == pytest.approx(three.log_prob, abs=1e-4)


@pytest.mark.parametrize(("name", "sliding"), [("llama", False), ("gemma3_text", True)])
def test_branches_that_look_at_their_own_keys_alone_answer_alike(
    name: str, sliding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoder(name, sliding=sliding)
    whole = answers(model, prompts(), Beams(3))
    blocks: list[int] = []

    def noted(sizes: list[int], seen: list[torch.Tensor], *, keys: int) -> block_attention:
        blocks.append(len(sizes))
        return block_attention(sizes, seen, keys=keys)

    monkeypatch.setattr("tunelab.tokentree.growth.cut_blocks", partial(cut_blocks, size=6))
    monkeypatch.setattr("tunelab.tokentree.growth.tree_attention", partial(tree_attention, size=6))
    monkeypatch.setattr("tunelab.tokentree.growth.block_attention", noted)
    for one, other in zip(whole, answers(model, prompts(), Beams(3)), strict=True):
        assert one.ids == other.ids
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
    assert max(blocks) > 2


def test_a_temperature_near_zero_is_greedy() -> None:
    model = decoder("llama")
    cold = answers(model, prompts(), Sample(temperature=1e-6))
    assert [each.ids for each in cold] == [each.ids for each in answers(model, prompts(), Greedy())]


def test_samples_follow_the_model() -> None:
    """Chi-square over the first two tokens of 3,000 answers to one prompt."""
    model = decoder("llama", vocab_size=4, pad_token_id=None, bos_token_id=None, eos_token_id=None)
    prompt, count = [1, 2, 3], 3000
    drawn = answers(
        model, [prompt] * count, Sample(temperature=1.3), max_new_tokens=2, stop_ids=frozenset()
    )
    pairs = [(a, b) for a in range(4) for b in range(4)]
    expected = []
    for pair in pairs:
        rows = (logits_behind(model, prompt, pair) / 1.3).softmax(dim=1)
        expected.append(count * float(rows[0, pair[0]] * rows[1, pair[1]]))
    found = Counter(each.ids for each in drawn)
    kept = [index for index, value in enumerate(expected) if value > 5]
    observed = [found[pairs[index]] for index in kept] + [0]
    wanted = [expected[index] for index in kept] + [0.0]
    observed[-1], wanted[-1] = count - sum(observed), count - sum(wanted)
    assert stats.chisquare(observed, wanted, sum_check=False).pvalue > 1e-3


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.3, 0.1]]).log()
    uniforms = torch.linspace(0, 0.999, 200, dtype=torch.float64)
    tokens = draw(logits.expand(200, 4), uniforms, temperature=1.0, top_p=0.7)
    assert set(tokens.tolist()) == {1, 2}
    assert (tokens == 1).float().mean() == pytest.approx(0.5 / 0.8, abs=0.01)


def test_each_answer_stops_on_its_own() -> None:
    model = decoder("llama")
    free = answers(model, prompts(), Greedy(), stop_ids=frozenset())
    stop = f"word{free[0].ids[4]} "
    stopped = answers(model, prompts(), Greedy(), stop_ids=frozenset(), stop_texts=(stop,))
    ended = 0
    for before, after in zip(free, stopped, strict=True):
        place = before.text.find(stop)
        whole = place < 0
        ended += not whole
        assert after.text == (before.text if whole else before.text[: place + len(stop)])
        assert after.finished == ("length" if whole else "stop")
    assert 0 < ended < len(free)


def test_a_forced_start_is_a_part_of_the_text() -> None:
    model, tokenizer = decoder("llama"), toy_tokenizer()
    start = [40, 41]
    forced = generate(
        model,
        tokenizer,
        prompts(),
        Decoding(max_new_tokens=NEW, stop_ids=frozenset({TOY_STOP})),
        forced_start=start,
        tokens_per_pass=60,
        advance=lambda _: None,
    )
    longer = answers(model, [[*prompt, *start] for prompt in prompts()], Greedy())
    assert [each.ids for each in forced] == [each.ids for each in longer]
    assert [each.text for each in forced] == ["word40 word41 " + each.text for each in longer]


def test_a_model_in_training_is_read_without_dropout() -> None:
    model = decoder("gpt2", attn_pdrop=0.5, resid_pdrop=0.5)
    calm = answers(model, prompts(), Greedy())
    model.train()
    assert answers(model, prompts(), Greedy()) == calm
    assert model.training


def test_an_answer_never_leaves_the_context() -> None:
    model = decoder("gpt2", n_positions=24)
    longest = max(prompts(), key=len)
    found = answers(model, [longest], Greedy(), stop_ids=frozenset())[0]
    assert (len(found.ids), found.finished) == (24 - len(longest), "length")
    with pytest.raises(DataError, match="24 tokens"):
        answers(model, [[5] * 24], Greedy())
    with pytest.raises(DataError):
        answers(model, [[]], Greedy())


def test_progress_counts_every_prompt_once() -> None:
    done: list[int] = []
    settings = Decoding(max_new_tokens=NEW, stop_ids=frozenset({TOY_STOP}))
    generate(
        decoder("llama"),
        toy_tokenizer(),
        prompts(),
        settings,
        tokens_per_pass=60,
        advance=done.append,
    )
    assert sum(done) == len(prompts())


@pytest.mark.parametrize("name", ["llama", "mamba"])
@pytest.mark.parametrize("strategy", [Greedy(), Beams(3)])
def test_a_model_that_cannot_share_answers_a_branch_at_a_time(
    name: str, strategy: Strategy
) -> None:
    if name == "mamba":
        config = AutoConfig.for_model("mamba", vocab_size=97, hidden_size=16, num_hidden_layers=2)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
    else:
        model = decoder(name)
    beams = {"num_beams": 3} if isinstance(strategy, Beams) else {}
    given = prompts()[:3]
    for prompt, ours in zip(given, answers(model, given, strategy, share=False), strict=True):
        assert ours.ids == one_by_one(model, prompt, **beams)


@pytest.mark.parametrize("method", ["prefix", "prompt"])
@pytest.mark.parametrize(("name", "sliding"), [("llama", False), ("gemma3_text", True)])
def test_virtual_tokens_stand_before_every_prompt(name: str, sliding: bool, method: str) -> None:
    tuned = tuned_decoder(name, method, sliding=sliding)
    for share in (True, False):
        found = answers(tuned.checkpoint, prompts(), Beams(2), virtual=tuned.virtual(), share=share)
        for prompt, ours in zip(prompts(), found, strict=True):
            targets = (False,) * len(prompt) + (True,) * len(ours.ids)
            whole = EncodedExample((*prompt, *ours.ids), targets)
            expected = float(plain_log_probs(tuned, whole).sum().detach())
            assert ours.log_prob == pytest.approx(expected, abs=1e-4)
