"""One hypothesis per prompt: greedy decoding and sampling."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from tunelab.tokentree.decoding import Finish, Greedy, Hypothesis, Sample
from tunelab.tokentree.endings import Endings
from tunelab.tokentree.growth import Growth


class SingleSearch:
    """Every prompt has one branch until its answer ends. Shapes: B branches, V tokens."""

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        strategy: Greedy | Sample,
        endings: Endings,
        *,
        streams: Sequence[random.Random],
    ) -> None:
        self._live = list(hypotheses)
        self._strategy = strategy
        self._endings = endings
        self._streams = list(streams)

    def extend(self, logits: Tensor) -> tuple[Growth, list[tuple[Hypothesis, Finish]]]:
        """Choose the next token of each branch: what is to grow on, and what has ended."""
        tokens = self._choose(possible(self._live, logits))
        gains = logits.gather(1, tokens[:, None]).squeeze(1) - logits.logsumexp(dim=1)
        live: list[Hypothesis] = []
        ended: list[tuple[Hypothesis, Finish]] = []
        growth = Growth([], [])
        streams: list[random.Random] = []
        for index, (token, gain) in enumerate(zip(tokens.tolist(), gains.tolist(), strict=True)):
            hypothesis = self._live[index]
            hypothesis.take(token, gain)
            if (finish := self._endings.of(hypothesis)) is not None:
                ended.append((hypothesis, finish))
                continue
            live.append(hypothesis)
            streams.append(self._streams[index])
            growth.add(parent=index, token=token)
        self._live, self._streams = live, streams
        return growth, ended

    def _choose(self, logits: Tensor) -> Tensor:
        match self._strategy:
            case Greedy():
                return logits.argmax(dim=1)
            case Sample(temperature=temperature, top_p=top_p):
                uniforms = torch.tensor(
                    [stream.random() for stream in self._streams],
                    dtype=torch.float64,
                    device=logits.device,
                )
                return draw(logits, uniforms, temperature=temperature, top_p=top_p)
            case _:
                assert_never(self._strategy)


def possible(hypotheses: Sequence[Hypothesis], logits: Tensor) -> Tensor:
    """(B, V) logits, minus infinity at tokens that a guide does not allow."""
    if all(hypothesis.guide is None for hypothesis in hypotheses):
        return logits
    logits = logits.clone()
    for hypothesis, row in zip(hypotheses, logits, strict=True):
        if hypothesis.guide is not None:
            row.masked_fill_(~hypothesis.guide.allowed(row), -torch.inf)
    return logits


def draw(logits: Tensor, uniforms: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """Invert the cumulative distribution of each row at a number drawn from [0, 1).

    Tokens are taken in the order of the vocabulary: an order by probability would let rounding
    decide between two tokens that are about equally probable.

    Args:
        logits: (B, V), minus infinity where a token is impossible.
        uniforms: (B,) float64.
        temperature: divides the logits.
        top_p: what is kept is the fewest tokens of at least this probability (arXiv 1904.09751).

    Returns:
        (B,) int64 tokens.
    """
    probabilities = (logits.double() / temperature).softmax(dim=1)
    if top_p < 1:
        falling = probabilities.sort(dim=1, descending=True).values
        before = falling.cumsum(dim=1) - falling
        kept = (before < top_p).sum(dim=1, keepdim=True)
        least = falling.gather(1, kept - 1)
        probabilities = probabilities.masked_fill(probabilities < least, 0)
    cumulative = probabilities.cumsum(dim=1)
    aims = uniforms[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, aims, right=True).squeeze(1)
    beyond = tokens == cumulative.shape[1]  # the product was rounded up to the whole
    return torch.where(beyond, probabilities.argmax(dim=1), tokens)
