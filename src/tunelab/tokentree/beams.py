"""Beam search, as transformers does it, on branches of a tree.

A step's candidates are all continuations of a prompt's hypotheses by one token, best first. Those
that end are put aside if they are among the first `count`; the first `count` of the others grow on.
To be sure of so many others, (1 + number of stop tokens) * `count` candidates are looked at, twice
`count` at least. The rule that ends the search is told at `decoding.Beams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunelab.tokentree.decoding import Beams, Decoding, Finish, Hypothesis
from tunelab.tokentree.endings import Endings
from tunelab.tokentree.growth import Growth
from tunelab.tokentree.single import possible


@dataclass(frozen=True, slots=True)
class _Finished:
    worth: float
    hypothesis: Hypothesis
    finish: Finish


@dataclass(slots=True)
class _Bundle:
    """The hypotheses about one prompt."""

    open: list[Hypothesis]
    finished: list[_Finished] = field(default_factory=list)
    """The best, best first."""


class BeamSearch:
    """Every prompt has up to `count` branches. Shapes: E prompts, B branches, C candidates."""

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        strategy: Beams,
        decoding: Decoding,
        endings: Endings,
    ) -> None:
        self._bundles = [_Bundle([hypothesis]) for hypothesis in hypotheses]
        self._count = strategy.count
        self._penalty = strategy.length_penalty
        self._candidates = max(2, 1 + len(decoding.stop_ids)) * strategy.count
        self._endings = endings

    def extend(self, logits: Tensor) -> tuple[Growth, list[tuple[Hypothesis, Finish]]]:
        """Continue every hypothesis by a token: what is to grow on, and what has ended."""
        growth = Growth([], [])
        ended: list[tuple[Hypothesis, Finish]] = []
        going: list[_Bundle] = []
        first = 0
        for bundle, candidates in zip(self._bundles, self._best(logits), strict=True):
            parents, bundle.open = bundle.open, []
            grown: list[int] = []
            for rank, (parent, token, log_prob) in enumerate(candidates):
                if len(bundle.open) == self._count and rank >= self._count:
                    break
                child = parents[parent].child(token, log_prob - parents[parent].log_prob)
                finish = self._endings.of(child)
                if finish is None and len(bundle.open) < self._count:
                    bundle.open.append(child)
                    grown.append(first + parent)
                elif finish is not None and rank < self._count:
                    self._put_aside(bundle, child, finish)
            first += len(parents)
            if self._over(bundle):
                best = bundle.finished[0]
                ended.append((best.hypothesis, best.finish))
                continue
            going.append(bundle)
            for hypothesis, parent in zip(bundle.open, grown, strict=True):
                growth.add(parent=parent, token=hypothesis.ids[-1])
        self._bundles = going
        return growth, ended

    def _best(self, logits: Tensor) -> list[list[tuple[int, int, float]]]:
        """Per prompt the best candidates: index of the hypothesis, token, log-probability."""
        hypotheses = [each for bundle in self._bundles for each in bundle.open]
        scores = possible(hypotheses, logits) - logits.logsumexp(dim=1, keepdim=True)
        so_far = [hypothesis.log_prob for hypothesis in hypotheses]
        scores = scores + torch.tensor(so_far, device=scores.device)[:, None]
        # the best of a prompt are among the best of each of its hypotheses
        many = min(self._candidates, scores.shape[1])
        values, tokens = scores.topk(many, dim=1)
        widest = max(len(bundle.open) for bundle in self._bundles)
        slots = [
            number * widest + index
            for number, bundle in enumerate(self._bundles)
            for index in range(len(bundle.open))
        ]
        pool = values.new_full((len(self._bundles) * widest, many), -torch.inf)
        pool[slots] = values
        held = tokens.new_zeros(pool.shape)
        held[slots] = tokens
        pool, held = pool.view(len(self._bundles), -1), held.view(len(self._bundles), -1)
        best, places = pool.topk(min(self._candidates, pool.shape[1]), dim=1)
        rows = zip(best.tolist(), places.tolist(), held.gather(1, places).tolist(), strict=True)
        return [
            [
                (place // many, token, value)
                for value, place, token in zip(*row, strict=True)
                if value > -torch.inf
            ]
            for row in rows
        ]

    def _put_aside(self, bundle: _Bundle, child: Hypothesis, finish: Finish) -> None:
        worth = child.log_prob / len(child.ids) ** self._penalty
        bundle.finished.append(_Finished(worth, child, finish))
        bundle.finished.sort(key=lambda each: each.worth, reverse=True)
        del bundle.finished[self._count :]

    def _over(self, bundle: _Bundle) -> bool:
        if not bundle.open:
            return True
        if len(bundle.finished) < self._count:
            return False
        best = bundle.open[0]
        return best.log_prob / len(best.ids) ** self._penalty <= bundle.finished[-1].worth
