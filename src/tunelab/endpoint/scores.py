"""How sure a model behind an endpoint was, from the log-probabilities of one reply.

    said      log p(what was said)
    silent    log p(what was said up to the answer's place) + log p(the no-answer word begins there)

If that word is not among the likeliest tokens, the least of them stands for it, which is more than
it deserves. The two order questions by doubt; they are not the sums that a decoder at hand gives by
teacher forcing, so that thresholds are chosen for each by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.endpoint.reply import RemoteToken

_VALUE = re.compile(r'"?answer"?\s*:\s*"', re.IGNORECASE)
_TEXT = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class ReplyScores:
    """Natural logarithms of probabilities."""

    said: float
    silent: float


def reply_scores(
    tokens: Sequence[RemoteToken], *, in_json: bool, no_answer: str
) -> ReplyScores | None:
    """The scores of a reply that gives an answer.

    Args:
        tokens: of the reply; empty where the endpoint gives no log-probabilities.
        in_json: whether the answer is the value of "answer", else it is the whole reply.
        no_answer: the word for "no answer".

    Returns:
        None where there are no log-probabilities, or the answer's place is not to be found.
    """
    text = "".join(token.token for token in tokens)
    found = _VALUE.search(text) if in_json else _TEXT.search(text)
    if found is None:
        return None
    place = found.end() if in_json else found.start()
    start, before = 0, 0.0
    for token in tokens:
        if start + len(token.token) > place:
            break
        start, before = start + len(token.token), before + token.logprob
    else:
        return None
    if not token.top_logprobs:
        return None
    wanted = text[start:place] + no_answer
    probability = sum(
        math.exp(rival.logprob)
        for rival in token.top_logprobs
        if rival.token.startswith(wanted)
        or (wanted.startswith(rival.token) and len(rival.token) > place - start)
    )
    least = min(rival.logprob for rival in token.top_logprobs)
    silent = before + (math.log(probability) if probability else least)
    return ReplyScores(sum(each.logprob for each in tokens), silent)
