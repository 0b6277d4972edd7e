"""The literal match of LLaMA SQuAD (teticio/llama-squad), which is not SQuAD's exact match.

An answer is right if it is one of the gold answers letter by letter: case, articles and punctuation
count. Five fractions are reported there, and here under these names:

    literal_valid            an answer could be read off the response; not empty
    literal_exact            the answer is right
    literal_exact_of_valid   the answer is right, among the readable ones
    literal_no_answer        "no answer" was said, among questions without an answer
    literal_has_answer       the answer is right, among questions with one

There the last two once came out wrong, because a comparison lacked a quotation mark and took every
question for answerable; these follow what the table of its README follows. The figures are lower
than the official ones on the same answers: never put both into one column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tunelab.errors import DataError
from tunelab.metrics.squad import Floats, Gold, Mask


@dataclass(frozen=True, slots=True)
class LiteralScore:
    """Scores of N questions, in the order of the data; a question not predicted is left out."""

    ids: tuple[str, ...]
    exact: Floats
    """(N,) 0 or 1."""
    has_answer: Mask
    """(N,)"""
    valid: Mask | None
    """(N,) whether an answer could be read; None where answers are not read off a format."""

    def parts(self) -> dict[str, tuple[Mask, Floats]]:
        """Name -> the rows that the figure is about, and the scores of all rows."""
        everything = np.ones_like(self.has_answer)
        parts: dict[str, tuple[Mask, Floats]] = {}
        if self.valid is not None:
            parts["literal_valid"] = (everything, self.valid.astype(np.float64))
        parts["literal_exact"] = (everything, self.exact)
        if self.valid is not None:
            parts["literal_exact_of_valid"] = (self.valid, self.exact)
        parts["literal_no_answer"] = (~self.has_answer, self.exact)
        parts["literal_has_answer"] = (self.has_answer, self.exact)
        return {name: part for name, part in parts.items() if part[0].any()}

    def figures(self) -> dict[str, float]:
        """The figures as fractions; one that is about no question is left out."""
        return {name: float(scores[rows].mean()) for name, (rows, scores) in self.parts().items()}


def answer_literal(text: str | None, gold: tuple[str, ...]) -> bool:
    """Whether an answer is right; "" says that there is none, None that nothing was readable."""
    return text is not None and (text in gold if gold else text == "")


def score_literal(
    gold: Gold, answers: Mapping[str, str | None], *, formatted: bool
) -> LiteralScore:
    """Score answers letter by letter.

    Args:
        gold: id -> gold answers, none if the question has no answer; in the order of the data.
        answers: id -> answer, "" for "no answer", None where no answer could be read.
        formatted: whether answers were read off a format, so that their validity is a figure.

    Raises:
        DataError: no question of the data was answered.
    """
    ids = tuple(key for key in gold if key in answers)
    if not ids:
        raise DataError(
            f"None of the {len(answers)} answers is for one of the {len(gold)} questions.",
            hint="Are these the answers to another data file? Their keys are question ids.",
        )
    return LiteralScore(
        ids=ids,
        exact=np.array([float(answer_literal(answers[key], tuple(gold[key]))) for key in ids]),
        has_answer=np.array([bool(gold[key]) for key in ids]),
        valid=np.array([answers[key] is not None for key in ids]) if formatted else None,
    )
