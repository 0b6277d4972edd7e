"""What an examination yields: findings, and some questions as the model sees them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tunelab.doctor.findings import Finding


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


class Examination(BaseModel):
    """What the doctor found about a recipe."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...]
    sights: tuple[Sight, ...]

    def with_findings(self, findings: Sequence[Finding]) -> Examination:
        """The same with more findings behind."""
        return Examination(findings=(*self.findings, *findings), sights=self.sights)

    @property
    def healthy(self) -> bool:
        """No finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)
