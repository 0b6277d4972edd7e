"""PubMedQA's metrics: accuracy and macro-F1 over yes, no and maybe.

The definitions are those of the official evaluation.py (github.com/pubmedqa/pubmedqa), which calls
scikit-learn's `accuracy_score` and `f1_score(average="macro")`. An answer that is none of the three
counts as wrong, and as missed by its label; it adds no label of its own.

The F1 of a label is no mean over questions. It is 2a/b, with a the share of questions rightly
given the label, and b the share that is given it plus the share that has it. Linearised around
these shares, each question gets a value

    F1 + (2 [given and has] - F1 ([given] + [has])) / b

whose mean is F1 exactly, and whose spread is that of F1 by the delta method. So macro-F1 is
resampled and compared like any other mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LABELS = ("yes", "no", "maybe")


@dataclass(frozen=True, slots=True)
class PubmedqaScore:
    """What N answers score; the mean of each array is its figure, as a fraction."""

    right: Floats
    """(N,) accuracy: 0 or 1."""
    macro_f1: Floats
    """(N,) linearised, see above."""
    f1: dict[str, Floats]
    """(N,) likewise, of each label that is given or asked for."""
    majority: Floats
    """(N,) whether the most frequent label of the data is right: what needs no model."""
    confusion: dict[str, dict[str, int]]
    """Right label -> given label -> how often; "" gathers what is no label."""

    def figures(self) -> dict[str, float]:
        """The figures by name, as fractions."""
        return {
            "accuracy": float(self.right.mean()),
            "macro_f1": float(self.macro_f1.mean()),
            **{f"f1_{label}": float(values.mean()) for label, values in self.f1.items()},
            "majority_baseline": float(self.majority.mean()),
        }


def score_pubmedqa(gold: Sequence[str], given: Sequence[str]) -> PubmedqaScore:
    """Score answers, given in the order of the right ones; at least one.

    Args:
        gold: (N,) each one of `LABELS`.
        given: (N,) labels, or anything else where no label could be read.
    """
    has = {label: np.array([each == label for each in gold], dtype=np.float64) for label in LABELS}
    says = {label: np.array([each == label for each in given], np.float64) for label in LABELS}
    f1 = {
        label: _linearised_f1(has[label], says[label])
        for label in LABELS
        if has[label].any() or says[label].any()
    }
    common = Counter(gold).most_common(1)[0][0]
    confusion: dict[str, dict[str, int]] = {
        label: dict.fromkeys((*LABELS, ""), 0) for label in LABELS
    }
    for right, answer in zip(gold, given, strict=True):
        confusion[right][answer if answer in LABELS else ""] += 1
    return PubmedqaScore(
        right=np.array([a == b for a, b in zip(gold, given, strict=True)], dtype=np.float64),
        macro_f1=np.mean(list(f1.values()), axis=0),
        f1=f1,
        majority=has[common],
        confusion=confusion,
    )


def _linearised_f1(has: Floats, says: Floats) -> Floats:
    both, either = has * says, has + says
    f1 = 2 * both.mean() / either.mean()
    return f1 + (2 * both - f1 * either) / either.mean()
