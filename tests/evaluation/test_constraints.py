"""Constrained answers are well-formed and verbatim, whatever the model would rather say."""

from __future__ import annotations

import json
import re
import sys
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tunelab.data import read_squad
from tunelab.errors import ModelError, RecipeError, UsageError
from tunelab.evaluation.constraints import AnswerConstraint
from tunelab.evaluation.grammars import AnswerForm, split_words
from tunelab.tokentree.decoding import Beams, Decoding, Greedy, Sample, Strategy
from tunelab.tokentree.generation import generate

JSON = AnswerForm('```json\n{"answer": "', '"}\n```', json=True, no_answer="?")
PLAIN = AnswerForm("", "", json=False, no_answer="<unk>")
ROOM = 24

nasty = st.text(
    st.sampled_from("abcxyz éß漢ก่ि0123.,;:?!(){}[]<>/\\\"'`\n\t\r\x0b\x0c\x1c\x00\x7f\u2028\xa0😀"),
    max_size=40,
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and a few merges, some of them across quotation marks, escapes and blanks."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    text = [
        '```json\n{"answer": "abc xyz"}\n```',
        "abc abc xyz, xyz",
        '\\n\\u00e9 "abc" \\"x',
        "a. b",
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(text * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")


STOP = 1


def tokens_of(text: str) -> list[int]:
    ids = tokenizer()(text)["input_ids"]
    assert isinstance(ids, list)
    return ids


def walk(constraint: AnswerConstraint, seed: int, *, room: int = ROOM, stop: float = 0.0) -> str:
    """What a model of random preferences answers to the first prompt.

    It prefers to stop by `stop`.
    """
    random = torch.Generator().manual_seed(seed)
    guide = constraint.begin(0)
    ids: list[int] = []
    while not (ids and ids[-1] == STOP) and not guide.complete:
        if len(ids) == room:
            guide.hurry()
            if guide.complete:
                break
        logits = 3 * torch.randn(len(tokenizer()), generator=random)
        logits[STOP] += stop
        allowed = guide.allowed(logits)
        token = int(logits.masked_fill(~allowed, -torch.inf).argmax())
        guide.advance(token)
        ids.append(token)
        assert len(ids) < room + 80
    text = tokenizer().decode([token for token in ids if token != STOP])
    assert isinstance(text, str)
    return text


def answer_of(response: str) -> str:
    """The answer in a fenced response that ends with it."""
    found = re.search(r'```json\n(\{"answer": ".*"\})\n```\Z', response, re.DOTALL)
    assert found is not None, response
    answer = json.loads(found[1])["answer"]
    assert isinstance(answer, str)
    return answer


@lru_cache(maxsize=1)
def cuts(context: str) -> list[int]:
    """Where a passage may begin or end."""
    return list(accumulate(map(len, split_words(context)), initial=0))


def is_passage(answer: str, context: str) -> bool:
    """Whether an answer is a stretch of whole words, without white space around it."""
    ends = set(cuts(context))
    places = [match.start() for match in re.finditer(f"(?={re.escape(answer)})", context)]
    whole = any(place in ends and place + len(answer) in ends for place in places)
    return bool(answer) and answer == answer.strip() and whole


@given(nasty, st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_json_spans_are_verbatim(context: str, seed: int) -> None:
    constraint = AnswerConstraint(
        "span", tokenizer(), JSON, contexts=[context], stop_ids=frozenset({STOP})
    )
    answer = answer_of(walk(constraint, seed))
    assert answer == "?" or is_passage(answer, context)


@given(nasty, st.integers(0, 10_000), st.sampled_from([0.0, 6.0]))
@settings(max_examples=40, deadline=None)
def test_bare_spans_are_verbatim(context: str, seed: int, stop: float) -> None:
    constraint = AnswerConstraint(
        "span", tokenizer(), PLAIN, contexts=[context], stop_ids=frozenset({STOP})
    )
    answer = walk(constraint, seed, stop=stop)
    assert answer == "<unk>" or is_passage(answer, context)


@given(st.integers(0, 10_000), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_json_is_valid_however_soon_it_is_cut_off(seed: int, room: int) -> None:
    constraint = AnswerConstraint(
        "json", tokenizer(), JSON, contexts=[""], stop_ids=frozenset({STOP})
    )
    response = walk(constraint, seed, room=room)
    answer_of(response).encode()  # no half of a surrogate pair


@given(nasty, st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([0.0, 8.0]))
@settings(max_examples=40, deadline=None)
def test_reasoning_is_followed_by_an_answer(
    context: str, seed: int, thoughts: int, stop: float
) -> None:
    constraint = AnswerConstraint(
        "span",
        tokenizer(),
        JSON,
        contexts=[context],
        stop_ids=frozenset({STOP}),
        reasoning_tokens=thoughts,
    )
    response = walk(constraint, seed, stop=stop)
    answer = answer_of(response)
    assert answer == "?" or is_passage(answer, context)
    reasoning = response.partition("```json")[0]
    assert len(tokens_of(reasoning)) <= thoughts + 3  # a character may be unfinished


def test_a_model_that_writes_the_opening_itself_is_not_given_another() -> None:
    constraint = AnswerConstraint(
        "json", tokenizer(), JSON, contexts=[""], stop_ids=frozenset({STOP}), reasoning_tokens=50
    )
    guide = constraint.begin(0)
    for token in tokens_of('abc ```json\n{"answer": "xyz"}\n```'):
        logits = torch.zeros(len(tokenizer()))
        logits[token] = 1
        assert guide.allowed(logits)[token]
        guide.advance(token)
    assert guide.complete


def test_every_passage_can_be_said() -> None:
    context = 'He "said" C:\\new\n to Ann\t漢字, 3.5%!'
    constraint = AnswerConstraint(
        "span", tokenizer(), JSON, contexts=[context], stop_ids=frozenset({STOP})
    )
    for first in cuts(context):
        for last in cuts(context):
            passage = context[first:last]
            if not passage or passage != passage.strip():
                continue
            guide = constraint.begin(0)
            for token in tokens_of(JSON.opening + JSON.written(passage) + JSON.ending):
                assert guide.allowed(torch.zeros(len(tokenizer())))[token], passage
                guide.advance(token)
            assert guide.complete


def test_a_fork_goes_its_own_way() -> None:
    constraint = AnswerConstraint(
        "span", tokenizer(), PLAIN, contexts=["ab cd"], stop_ids=frozenset({STOP})
    )
    guide = constraint.begin(0)
    fork = guide.fork()
    logits = torch.zeros(len(tokenizer()))
    [a], [c] = map(tokens_of, "ac")
    guide.advance(a)
    fork.advance(c)
    assert [bool(each.allowed(logits)[STOP]) for each in (guide, fork)] == [False, False]
    assert guide.allowed(logits).nonzero().tolist() != fork.allowed(logits).nonzero().tolist()


@pytest.mark.parametrize("strategy", [Greedy(), Beams(3), Sample(temperature=2.0)])
@pytest.mark.parametrize("room", [6, 40])
def test_generated_answers_keep_to_the_constraint(strategy: Strategy, room: int) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer()) + 6,  # a model may have more rows than the tokenizer tokens
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
    )
    model = LlamaForCausalLM(config)
    contexts = ['abc "xyz"', "abc\n xyz.", "", "é \\ 漢字"]
    prompts = [tokens_of(f"say {context}") for context in contexts]
    forced = tokens_of("```json")
    constraint = AnswerConstraint(
        "span",
        tokenizer(),
        JSON,
        contexts=contexts,
        stop_ids=frozenset({STOP}),
        forced_start=forced,
    )
    found = generate(
        model,
        tokenizer(),
        prompts,
        Decoding(strategy=strategy, max_new_tokens=room, stop_ids=frozenset({STOP})),
        constraint=constraint,
        forced_start=forced,
        tokens_per_pass=100,
        advance=lambda _: None,
    )
    for context, each in zip(contexts, found, strict=True):
        answer = answer_of(each.text)
        assert answer == "?" or is_passage(answer, context)
        assert each.finished == ("length" if len(each.ids) > room else "stop")


def test_what_cannot_be_constrained_is_said() -> None:
    stops = frozenset({STOP})
    with pytest.raises(RecipeError, match="needs answers in JSON"):
        AnswerConstraint("json", tokenizer(), PLAIN, contexts=[""], stop_ids=stops)
    with pytest.raises(RecipeError, match="both begin"):
        AnswerConstraint(
            "json",
            tokenizer(),
            JSON,
            contexts=[""],
            stop_ids=stops,
            forced_start=[3],
            reasoning_tokens=5,
        )
    with pytest.raises(RecipeError, match="tells the two apart"):
        AnswerConstraint(
            "span", tokenizer(), PLAIN, contexts=[""], stop_ids=stops, reasoning_tokens=5
        )
    misfit = AnswerConstraint(
        "json", tokenizer(), JSON, contexts=[""], stop_ids=stops, forced_start=tokens_of("abc")
    )
    with pytest.raises(ModelError, match="can begin with"):
        misfit.begin(0)


def test_without_llguidance_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance.hf", None)
    with pytest.raises(UsageError) as caught:
        AnswerConstraint("json", tokenizer(), JSON, contexts=[""], stop_ids=frozenset({STOP}))
    assert "tunelab[constrain]" in caught.value.hint


@given(nasty)
def test_words_make_up_the_text(text: str) -> None:
    pieces = list(split_words(text))
    assert "".join(pieces) == text
    assert not any(a.isspace() and b.isspace() for a, b in pairwise(pieces))


@pytest.mark.slow
def test_gold_answers_are_passages(shared_data: Path) -> None:
    """The figures that `grammars` quotes: those that are not cut a word in two."""
    examples = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    answers = [(gold, each.context) for each in examples for gold in each.gold]
    assert len(answers) == 20_302
    assert sum(not is_passage(*each) for each in answers) == 27
