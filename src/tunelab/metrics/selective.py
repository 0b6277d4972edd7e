"""Risk against coverage: how wrong the answers are if only the most confident ones are given.

With k of N items answered, the most confident first, coverage is k / N and risk the mean loss of
those k (El-Yaniv and Wiener 2010, JMLR 11, pages 1605 to 1641). The area under the curve is the
mean of the N risks (Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206). Items of equal confidence
cannot be told apart by a threshold: each counts with their mean loss, which is what breaking ties
at random yields on average.

What the loss is and what the confidence, is said where they are chosen (`tunelab.evaluation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tunelab.errors import DataError
from tunelab.metrics.squad import Floats


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """A risk-coverage curve over N items."""

    coverage: Floats
    """(N,) 1/N, 2/N, ..., 1."""
    risk: Floats
    """(N,) mean loss of the items answered."""
    lowest_area: float
    """The area if confidence ranked the same losses perfectly."""

    @property
    def area(self) -> float:
        """The area under the curve; 0 is the best there is."""
        return float(self.risk.mean())


def risk_coverage(losses: ArrayLike, confidence: ArrayLike) -> RiskCoverage:
    """The curve of N items.

    Args:
        losses: (N,) of answering each item, 0 to 1.
        confidence: (N,) in each answer, of any scale; may be infinite.

    Raises:
        DataError: there is no item, or a confidence is not a number.
    """
    loss = np.asarray(losses, dtype=np.float64)
    doubt = -np.asarray(confidence, dtype=np.float64)
    assert loss.shape == doubt.shape
    if not len(loss) or np.isnan(doubt).any():
        raise DataError(
            f"{int(np.isnan(doubt).sum())} of {len(doubt)} confidences are not a number: there is "
            "no risk-coverage curve.",
            hint="The model that gave them is broken; look at the loss in its steps.jsonl.",
        )
    _, rank, counts = np.unique(doubt, return_inverse=True, return_counts=True)
    means = np.bincount(rank, weights=loss) / counts
    number = np.arange(1, len(loss) + 1)
    return RiskCoverage(
        coverage=number / len(loss),
        risk=np.cumsum(np.repeat(means, counts)) / number,
        lowest_area=float((np.cumsum(np.sort(loss)) / number).mean()),
    )
