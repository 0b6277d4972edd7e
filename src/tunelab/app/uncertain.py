"""Which unlabelled questions a person should be asked about first: those a run is least sure of.

The measure is least confidence: one minus the probability of the likeliest candidate, "not in the
text" being one of them (Lewis and Gale, arXiv cmp-lg/9407020).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunelab.answering import Answered
from tunelab.data import Example, read_squad, take_limit
from tunelab.errors import DataError

LOOKED_AT = 256
"""Of a longer file, so many questions are put to a run: whole paragraphs, by a hash."""

AskAll = Callable[[Sequence[Example]], list[Answered]]


@dataclass(frozen=True, slots=True)
class Doubt:
    """An unlabelled question, and how unsure a run is of its answer."""

    example: Example
    found: Answered
    uncertainty: float
    """From 0 to 1; 0 where the run tells no probabilities."""
    left: int
    """Unlabelled questions, this one included."""


def uncertainty(found: Answered) -> float:
    """One minus the probability of the likeliest candidate."""
    return 1 - max((each.probability for each in found.candidates), default=1.0)


class Unlabelled:
    """Questions that nobody has answered yet.

    Args:
        path: a SQuAD file whose gold answers, if any, are not looked at; None: there is none.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        examples = take_limit(read_squad(path), LOOKED_AT) if path is not None else []
        self._examples = [replace(example, answers=()) for example in examples]
        self._answered: dict[str, dict[str, Answered]] = {}
        self._lock = threading.Lock()

    def next(
        self,
        name: str,
        ask_all: AskAll,
        *,
        own: Sequence[Example],
        passed_over: Callable[[Sequence[Example]], Collection[str]],
    ) -> Doubt:
        """The question that a run is least sure of.

        Args:
            name: the run.
            ask_all: puts questions to it.
            own: what a visitor asked, and may now answer.
            passed_over: gives the ids of those examples that are labelled or were left out.

        Raises:
            DataError: there is none left.
            TunelabError: the run cannot be asked.
        """
        every = list({each.id: each for each in (*self._examples, *own)}.values())
        gone = passed_over(every)
        left = [example for example in every if example.id not in gone]
        if not left:
            raise DataError(
                "There are no unlabelled questions left."
                if every
                else "There are no unlabelled questions yet.",
                hint="Ask your own in the tab Ask, or start `tunelab app RUN --questions FILE`.",
            )
        found = self._found(name, left, ask_all)
        first = max(left, key=lambda each: (uncertainty(found[each.id]), each.id))
        return Doubt(first, found[first.id], uncertainty(found[first.id]), len(left))

    def _found(self, name: str, wanted: Iterable[Example], ask_all: AskAll) -> dict[str, Answered]:
        """The run's answers; each question is put to it once."""
        with self._lock:
            known = self._answered.setdefault(name, {})
            new = [example for example in wanted if example.id not in known]
            if new:
                answers = ask_all(new)
                known |= {each.id: found for each, found in zip(new, answers, strict=True)}
            return dict(known)
