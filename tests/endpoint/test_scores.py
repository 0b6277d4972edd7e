"""Scores from the log-probabilities of a reply."""

from __future__ import annotations

import math

import pytest

from tunelab.endpoint import RemoteToken
from tunelab.endpoint.scores import reply_scores


def token(text: str, probability: float, **rivals: float) -> RemoteToken:
    top = [{"token": text, "logprob": math.log(probability)}]
    top += [{"token": name, "logprob": math.log(value)} for name, value in rivals.items()]
    return RemoteToken.model_validate({**top[0], "top_logprobs": top})


def test_the_no_answer_word_is_looked_for_at_the_answers_place() -> None:
    tokens = [
        token('{"', 0.5),
        token('answer": "', 1),
        token("Rome", 0.6, **{"?": 0.3}),
        token('"}', 1),
    ]
    found = reply_scores(tokens, in_json=True, no_answer="?")
    assert found is not None
    assert found.said == pytest.approx(math.log(0.5 * 0.6))
    assert found.silent == pytest.approx(math.log(0.5 * 0.3))


def test_tokens_may_hold_more_than_the_word_or_less() -> None:
    # the answer's token takes in the quotation mark before it, and there are two ways to say "?"
    tokens = [token('{"answer":', 1), token(' "Rome', 0.6, **{' "?': 0.2, ' "?"': 0.1, ' "': 0.05})]
    found = reply_scores(tokens, in_json=True, no_answer="?")
    assert found is not None and found.silent == pytest.approx(math.log(0.3))
    plain = reply_scores([token("Rome", 0.9, **{"<": 0.05})], in_json=False, no_answer="<unk>")
    assert plain is not None and plain.silent == pytest.approx(math.log(0.05))


def test_a_word_that_is_not_told_is_no_likelier_than_the_least() -> None:
    found = reply_scores([token("Rome", 0.9, Paris=0.01)], in_json=False, no_answer="?")
    assert found is not None and found.silent == pytest.approx(math.log(0.01))


def test_without_a_place_or_rivals_there_are_no_scores() -> None:
    assert reply_scores([], in_json=True, no_answer="?") is None
    assert reply_scores([token("nothing", 1)], in_json=True, no_answer="?") is None
    bare = RemoteToken(token="Rome", logprob=-1)
    assert reply_scores([bare], in_json=False, no_answer="?") is None
