"""Every error a user can meet: what was wrong, what was found, what is allowed, what to type next.

The command line prints these without a traceback and leaves with the error's exit code. Anything
that is not a `TunelabError` is a defect of tunelab and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class TunelabError(Exception):
    """A problem told in one sentence, with a hint about what to do.

    Args:
        problem: what was wrong and what was found, as a sentence.
        hint: what is allowed, or what to type next; may be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem}\n{self.hint}" if self.hint else self.problem


class UsageError(TunelabError):
    """A wrong command, option or output directory."""

    exit_code = 2


class RecipeError(TunelabError):
    """A recipe that cannot be read or does not fit the schema."""

    exit_code = 2


class DataError(TunelabError):
    """A data or prediction file that is missing, broken or contradicts itself."""

    exit_code = 2


class ModelError(TunelabError):
    """A checkpoint that is missing, cannot be loaded, or does not fit the task."""

    exit_code = 2


class TuningError(TunelabError):
    """A tuning method that does not exist or does not fit the model."""

    exit_code = 2


class EndpointError(TunelabError):
    """A model behind an endpoint that cannot be reached, refuses, or answers nonsense."""


class PriceError(TunelabError):
    """What was asked for costs more than is allowed."""

    exit_code = 3


class FitError(TunelabError):
    """A run that needs more memory than there is."""

    exit_code = 3


class ProofError(TunelabError):
    """A run that cannot show that it trained what it claims."""


class DivergedError(TunelabError):
    """A loss that is not a number, or above every sensible bound."""


class RecordError(TunelabError):
    """A file in a run directory that is damaged or of an unknown version."""


class VersionError(RecordError):
    """A record of a version that this tunelab does not know; it is never overwritten."""


class StorageError(TunelabError):
    """The disk is full or not writable; nothing that was finished is lost."""


class Interrupted(TunelabError):
    """The user or the system asked the run to stop; it stopped at a checkpoint."""

    exit_code = 130


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return "Did you mean 'x'? Allowed: a, b, c." for a name that is not among `allowed`."""
    choices = sorted(allowed)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    return f"{guess}Allowed: {', '.join(choices)}."
