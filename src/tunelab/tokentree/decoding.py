"""How an answer is decoded, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Greedy:
    """The most probable token, always."""


@dataclass(frozen=True, slots=True)
class Beams:
    """The best of several hypotheses, by the rules of transformers' beam search.

    A hypothesis is worth its log-probability / length ** `length_penalty`, the stop token counted
    in its length. The search ends when `count` hypotheses have ended and the best open one, at its
    present length, is worth no more than the worst of them (`early_stopping=False` there).
    """

    count: int
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        assert self.count >= 1


@dataclass(frozen=True, slots=True)
class Sample:
    """A token drawn from the model's distribution.

    The draws depend on the seed and the prompt (and on how often it was given before) and on
    nothing else: not on which prompts are read together, nor on their order.
    """

    temperature: float = 1.0
    """Divides the logits."""
    top_p: float = 1.0
    """Drawn among the fewest tokens that together have this probability."""
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.temperature > 0 and 0 < self.top_p <= 1


Strategy = Greedy | Beams | Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Settings of a generation; every prompt stops on its own."""

    strategy: Strategy = field(default_factory=Greedy)
    max_new_tokens: int
    """Tokens that the model chooses; what a constraint needs to close an answer comes on top."""
    stop_ids: frozenset[int]
    """Any of these tokens ends an answer."""
    stop_texts: tuple[str, ...] = ()
    """So does any of these texts; it belongs to the answer, and what comes after it does not.

    An answer under a constraint ends by its grammar instead.
    """


Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Generated:
    """What a prompt was continued with."""

    ids: tuple[int, ...]
    """The tokens behind prompt and forced start, a stop token included."""
    text: str
    """The forced start and the tokens as text, without the stop token."""
    finished: Finish
    """stop: by a stop token, a stop text or a complete constraint. length: out of tokens."""
    log_prob: float
    """Natural logarithm of the probability of `ids`, given all before them, under the model as it
    is: neither constraint, temperature nor top_p has a part in it."""


class Guide(Protocol):
    """What one answer may still become."""

    @property
    def complete(self) -> bool:
        """Whether the answer is finished and nothing can follow."""
        ...

    def allowed(self, logits: Tensor) -> Tensor:
        """(V,) logits of the next token -> (V,) bool, at least one of them True."""
        ...

    def advance(self, token: int) -> None:
        """Take up a token that was allowed."""
        ...

    def hurry(self) -> None:
        """The answer has used up its tokens: from now on allow only what ends it soon."""
        ...

    def fork(self) -> Self:
        """An independent copy."""
        ...


class Constraint(Protocol):
    """What the answers to some prompts may be."""

    def begin(self, prompt: int) -> Guide:
        """The guide of a prompt's answer, by its index, behind the forced start."""
        ...


@dataclass(slots=True)
class Hypothesis:
    """An answer under way."""

    prompt: int
    """Index of its prompt."""
    room: int
    """Tokens it may have."""
    guide: Guide | None
    ids: list[int] = field(default_factory=list)
    log_prob: float = 0.0

    def take(self, token: int, log_prob: float) -> None:
        """Grow by a token of this log-probability."""
        self.ids.append(token)
        self.log_prob += log_prob
        if self.guide is not None:
            self.guide.advance(token)

    def child(self, token: int, log_prob: float) -> Hypothesis:
        """A hypothesis that is longer by a token; this one stays as it is."""
        guide = None if self.guide is None else self.guide.fork()
        child = Hypothesis(self.prompt, self.room, guide, list(self.ids), self.log_prob)
        child.take(token, log_prob)
        return child
