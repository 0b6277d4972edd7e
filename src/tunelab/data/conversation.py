"""A conversation, whose last turn is the reply that a model is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a user and an assistant by turns, the last one the assistant's.

    A system message may stand first. `group` names what the conversation shares with others, such
    as the text that it is about: the unit of resampling.
    """

    id: str
    turns: tuple[Turn, ...]
    group: str
    gold: tuple[str, ...]
    """Accepted replies, the first one that of the last turn."""
    article: str = ""

    def __post_init__(self) -> None:
        assert self.turns[-1].role == "assistant"
        assert self.gold[0] == self.turns[-1].text

    @property
    def asked(self) -> tuple[Turn, ...]:
        """Everything before the last reply."""
        return self.turns[:-1]

    @property
    def replies(self) -> tuple[str, ...]:
        """What the assistant says, turn by turn: what is learnt."""
        return tuple(turn.text for turn in self.turns if turn.role == "assistant")
