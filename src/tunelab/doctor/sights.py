"""What an examination yields: findings, and some questions as the model sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tunelab.doctor.findings import Finding

BINS = 12
"""Of a histogram of lengths."""


class SeenToken(BaseModel):
    """A token as the model sees it."""

    model_config = ConfigDict(frozen=True)

    text: str
    target: bool
    """Whether it is a part of the answer that is learnt."""


class Sight(BaseModel):
    """One window or sequence of a training question, with its target marked."""

    model_config = ConfigDict(frozen=True)

    id: str
    tokens: tuple[SeenToken, ...]
    separator: str
    """Stands between two tokens where they are shown; empty where tokens hold their spaces."""


class Lengths(BaseModel):
    """How many windows or sequences of a part of the data have how many tokens."""

    model_config = ConfigDict(frozen=True)

    part: str
    up_to: tuple[int, ...]
    """The most tokens of each bin; it begins behind the bin before."""
    counts: tuple[int, ...]
    """How many are in each bin."""

    @classmethod
    def of(cls, part: str, lengths: Sequence[int]) -> Lengths:
        """Counted in at most `BINS` bins of one width, which is a multiple of 8 tokens."""
        width = -(-max(lengths, default=1) // (8 * BINS)) * 8
        bins = -(-max(lengths, default=1) // width)
        counts = Counter((length - 1) // width for length in lengths)
        return cls(
            part=part,
            up_to=tuple(width * (n + 1) for n in range(bins)),
            counts=tuple(counts[n] for n in range(bins)),
        )

    @property
    def bars(self) -> list[tuple[int, int, float]]:
        """Of each bin its `up_to`, its count, and that in percent of the largest one."""
        most = max(1, *self.counts)
        counted = zip(self.up_to, self.counts, strict=True)
        return [(up_to, count, 100 * count / most) for up_to, count in counted]


class Examination(BaseModel):
    """What the doctor found about a recipe."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...]
    sights: tuple[Sight, ...]
    lengths: tuple[Lengths, ...] = ()
    """Empty where the tokens of the model are not to be seen from here."""

    def with_findings(self, findings: Sequence[Finding]) -> Examination:
        """The same with more findings behind."""
        return self.model_copy(update={"findings": (*self.findings, *findings)})

    @property
    def healthy(self) -> bool:
        """No finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)
