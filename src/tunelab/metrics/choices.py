"""Metrics of choices that were weighed by log-likelihood, item by item, as lm-eval defines them.

    acc        the likeliest choice is right (the sum over its tokens)
    acc_norm   the likeliest per character of its text is right
    mc1        TruthfulQA: the best answer is likelier than every false one
    mc2        TruthfulQA: the share of all true answers in the total probability

Of equally likely choices the first counts, as in numpy's argmax. Source: lm-eval 0.4.13,
api/task.py (process_results) and tasks/truthfulqa/utils.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

NONE = -1
"""The choice of an item that was not weighed: never right."""


def likeliest(
    log_probs: Sequence[float], *, lengths: Sequence[int] | None = None, among: Collection[int] = ()
) -> int:
    """Index of the likeliest choice, or NONE where nothing was weighed.

    Args:
        log_probs: (C,) sums over the tokens of each choice.
        lengths: (C,) characters of each choice, to divide by.
        among: the choices that take part; none means all.
    """
    if not log_probs:
        return NONE
    scores = np.asarray(log_probs, dtype=np.float64)
    if lengths is not None:
        scores = scores / np.asarray(lengths, dtype=np.float64)
    taking_part = sorted(among) or range(len(scores))
    return int(max(taking_part, key=lambda index: (scores[index], -index)))


def true_share(log_probs: Sequence[float], true: Collection[int]) -> float:
    """Probability of the true choices over that of all; 0 where nothing was weighed."""
    if not log_probs:
        return 0.0
    scores = np.asarray(log_probs, dtype=np.float64)
    shares = np.exp(scores - scores.max())  # does not underflow to 0 / 0
    return float(shares[sorted(true)].sum() / shares.sum())
