"""Chooses the no-answer threshold on held-out training data, never on the test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunelab.metrics.squad import answer_f1
from tunelab.records import Prediction


def choose_threshold(predictions: Sequence[Prediction]) -> float:
    """The threshold with the best F1 over `predictions`.

    An item is left unanswered where null score - span score is above the threshold. Between the
    two neighbouring differences around the best cut the middle is taken; of equally good cuts the
    one nearest to zero, the model's own indifference. Responses that cannot be read differ
    infinitely: withheld at every threshold, they have no say. 0 where nothing else is there.
    """
    predictions = [row for row in predictions if np.isfinite(_margin(row))]
    if not predictions:
        return 0.0
    margins = np.array([_margin(row) for row in predictions])
    answered = np.array([answer_f1(row.output, row.gold) for row in predictions])
    withheld = np.array([0.0 if row.gold else 1.0 for row in predictions])
    order = np.argsort(margins, kind="stable")
    margins = margins[order]
    # gain[k]: total F1 if the k items with the lowest margins are answered and the others are not
    gain = np.concatenate([[0.0], np.cumsum((answered - withheld)[order])])
    edges = np.concatenate([[margins[0] - 2.0], margins, [margins[-1] + 2.0]])
    cuts = (edges[:-1] + edges[1:]) / 2
    possible = np.concatenate([[True], margins[1:] > margins[:-1], [True]])
    best = gain[possible].max()
    candidates = cuts[possible & np.isclose(gain, best, rtol=0, atol=1e-9)]
    return float(candidates[np.argmin(np.abs(candidates))])


def _margin(row: Prediction) -> float:
    assert row.null_score is not None and row.span_score is not None
    return row.null_score - row.span_score
