"""One question with given answers: what every choice task is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A question whose answer is one of its choices.

    `group` is the unit of resampling; most tasks have one question a group. `question` is what is
    asked, without any wording of a prompt.
    """

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int
    """Index of the right choice."""
    group: str
    subject: str = ""
    """Such as anatomy; empty where the task has none."""
    context: str = ""
    """What the question is about: an abstract, or nothing."""
    also_true: tuple[int, ...] = ()
    """Further true choices (TruthfulQA): they count for MC2, and take no part in MC1."""
    explanation: str = ""
    """Why it is right, in words; empty where nothing is said."""

    @property
    def article(self) -> str:
        """The wider unit of resampling."""
        return self.subject or self.group

    @property
    def gold(self) -> tuple[str, ...]:
        """The right choice."""
        return (self.choices[self.answer],)
