"""The official SQuAD 1.1 and 2.0 scores, to the last digit of the official scripts.

Exact match compares normalised texts; F1 compares their words as bags. An item's score is the best
over its gold answers; a figure is 100 times the sum over the items, in the order of the data,
divided by their number. Sources: evaluate-v1.1.py (Rajpurkar et al. 2016, arXiv 1606.05250) and
evaluate-v2.0.py (Rajpurkar, Jia and Liang 2018, arXiv 1806.03822). Where the two differ:

                                   1.1                      2.0
    gold answers                   as they are              without those of empty normal form;
                                                            "" where none is left
    F1 of two empty normal forms   0                        1
    a question not predicted       scores 0 and counts      is left out of the figures
    no-answer probabilities        not known                above 1.0 they withhold the answer

The official 2.0 script names a question that was not predicted and then stops with a KeyError at
its HasAns and NoAns figures. Here these too are over the predicted questions; `strict` beside them
follows 1.1's rule. Intervals are the business of `tunelab.statistics`.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from tunelab.errors import DataError

SquadVersion = Literal["1.1", "2.0"]

Gold = Mapping[str, Sequence[str]]
"""Question id -> texts of its gold answers, none if it has no answer; in the order of the data."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII alone: a dash such as – stays
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_ANSWER_THRESHOLD = 1.0  # the official default: a true probability is never above it


@dataclass(frozen=True, slots=True)
class SquadScore:
    """What a set of predictions scores; the arrays have one row per scored question."""

    version: SquadVersion
    ids: tuple[str, ...]
    """The scored questions, in the order of the data."""
    exact: Floats
    """(N,) 0 or 1."""
    f1: Floats
    """(N,) 0 to 1."""
    has_answer: Mask
    """(N,)"""
    tuned_on_test: dict[str, float]
    """best_exact, best_f1 and their thresholds: chosen on the very questions they are about."""
    strict: dict[str, float]
    """2.0 with missing predictions: exact and f1 over all questions, a missing one scoring 0."""
    missing: tuple[str, ...]
    """Ids of the data that were not predicted."""
    extra: tuple[str, ...]
    """Predicted ids that are not in the data; ignored."""

    def parts(self) -> dict[str, tuple[Mask, Floats]]:
        """Official name -> the rows that the figure is about, and the scores of all rows."""
        everything = np.ones_like(self.has_answer)
        match self.version:
            case "1.1":
                return {"exact_match": (everything, self.exact), "f1": (everything, self.f1)}
            case "2.0":
                parts: dict[str, tuple[Mask, Floats]] = {}
                for prefix, rows in (
                    ("", everything),
                    ("HasAns_", self.has_answer),
                    ("NoAns_", ~self.has_answer),
                ):
                    if rows.any():
                        parts[f"{prefix}exact"] = (rows, self.exact)
                        parts[f"{prefix}f1"] = (rows, self.f1)
                return parts
            case _:
                assert_never(self.version)

    def figures(self) -> dict[str, float]:
        """The figures under their official names, in percent; a `total` counts questions."""
        figures: dict[str, float] = {}
        for name, (rows, scores) in self.parts().items():
            count = int(rows.sum())
            figures[name] = _percent(scores[rows], count)
            if self.version == "2.0" and name.endswith("f1"):
                figures[name.removesuffix("f1") + "total"] = count
        return figures


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Lower case; no ASCII punctuation, no words a, an, the; single spaces between words."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def answer_exact(text: str, gold: Sequence[str], *, version: SquadVersion = "2.0") -> float:
    """1.0 if `text` and one of the gold answers have one normal form, else 0.0."""
    wanted = normalise(text)
    return float(any(normalise(answer) == wanted for answer in _accepted(gold, version)))


def answer_f1(text: str, gold: Sequence[str], *, version: SquadVersion = "2.0") -> float:
    """F1 of the bags of words of `text` and its best gold answer, 0 to 1."""
    return _answer_f1(text, tuple(gold), version)


@lru_cache(maxsize=1 << 16)
def _answer_f1(text: str, gold: tuple[str, ...], version: SquadVersion) -> float:
    """Many runs give one question the same answer."""
    said, accepted = normalise(text), [normalise(answer) for answer in _accepted(gold, version)]
    if said and said in accepted:
        return 1.0  # what equal bags yield, found without counting words
    words = said.split()
    return max(_bag_f1(words, answer.split(), version) for answer in accepted)


def score_squad(
    gold: Gold,
    predictions: Mapping[str, str],
    *,
    version: SquadVersion,
    no_answer_probabilities: Mapping[str, float] | None = None,
) -> SquadScore:
    """Score answers by the official definitions.

    Args:
        gold: id -> gold answers, in the order of the data.
        predictions: id -> answer, "" for "no answer".
        version: whose definitions hold.
        no_answer_probabilities: id -> probability that there is no answer; adds `tuned_on_test`.

    Raises:
        DataError: no question of the data was predicted; a 1.1 question has no gold answer;
            probabilities lack a predicted question, or are given for 1.1.
    """
    _check(gold, predictions, version, no_answer_probabilities)
    missing = tuple(key for key in gold if key not in predictions)
    ids = tuple(gold) if version == "1.1" else tuple(key for key in gold if key in predictions)
    answers = [predictions.get(key) for key in ids]
    pairs = [(answer, gold[key]) for key, answer in zip(ids, answers, strict=True)]
    exact = np.array([0.0 if a is None else answer_exact(a, g, version=version) for a, g in pairs])
    f1 = np.array([0.0 if a is None else answer_f1(a, g, version=version) for a, g in pairs])
    has_answer = np.array([bool(gold[key]) for key in ids])
    tuned: dict[str, float] = {}
    if no_answer_probabilities is not None:
        for name, scores in (("exact", exact), ("f1", f1)):
            best, threshold = _sweep(
                dict(zip(ids, scores, strict=True)), gold, predictions, no_answer_probabilities
            )
            tuned |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
        probabilities = np.array([no_answer_probabilities[key] for key in ids])
        withheld = probabilities > _NO_ANSWER_THRESHOLD
        exact = np.where(withheld, ~has_answer, exact)
        f1 = np.where(withheld, ~has_answer, f1)
    count = len(gold)
    return SquadScore(
        version=version,
        ids=ids,
        exact=exact,
        f1=f1,
        has_answer=has_answer,
        tuned_on_test=tuned,
        strict={"exact": _percent(exact, count), "f1": _percent(f1, count)}
        if missing and version == "2.0"
        else {},
        missing=missing,
        extra=tuple(key for key in predictions if key not in gold),
    )


def _accepted(gold: Sequence[str], version: SquadVersion) -> Sequence[str]:
    match version:
        case "1.1":
            return gold
        case "2.0":
            return [answer for answer in gold if normalise(answer)] or [""]
        case _:
            assert_never(version)


def _bag_f1(words: list[str], wanted: list[str], version: SquadVersion) -> float:
    if not words or not wanted:
        return float(version == "2.0" and words == wanted)
    if set(words).isdisjoint(wanted):
        return 0.0
    same = sum((Counter(words) & Counter(wanted)).values())
    precision = same / len(words)
    recall = same / len(wanted)
    return (2 * precision * recall) / (precision + recall)


def _sweep(
    scores: Mapping[str, float],
    gold: Gold,
    predictions: Mapping[str, str],
    probabilities: Mapping[str, float],
) -> tuple[float, float]:
    """The official sweep: the best figure that withholding unlikely answers can reach.

    Starts with every answer withheld and lets them back in the order of their probability (ties in
    the order given), each gaining its score, or losing 1 if the question has no answer and one was
    given. Returns percent and the probability above which answers are then withheld.
    """
    order = sorted((key for key in probabilities if key in scores), key=probabilities.__getitem__)
    gains = [scores[key] if gold[key] else -float(predictions[key] != "") for key in order]
    start = float(sum(not gold[key] for key in scores))
    totals = np.cumsum([start, *gains])
    best = int(np.argmax(totals))  # the first of equally good ones
    threshold = probabilities[order[best - 1]] if best else 0.0
    return 100.0 * float(totals[best]) / len(scores), threshold


def _percent(scores: Floats, count: int) -> float:
    # cumsum adds one after the other, as the official scripts do; numpy's sum adds in pairs and
    # Python's compensates since 3.12: both differ in the last digit
    return 100.0 * float(np.cumsum(scores)[-1]) / count


def _check(
    gold: Gold,
    predictions: Mapping[str, str],
    version: SquadVersion,
    probabilities: Mapping[str, float] | None,
) -> None:
    predicted = [key for key in gold if key in predictions]
    if not predicted:
        raise DataError(
            f"None of the {len(predictions)} predictions is for one of the {len(gold)} questions.",
            hint="Are these the predictions for another data file? Their keys are question ids.",
        )
    unanswerable = [key for key in gold if not gold[key]]
    if version == "1.1" and unanswerable:
        raise DataError(
            f"{len(unanswerable)} of {len(gold)} questions have no answer, the first is "
            f"'{unanswerable[0]}'; version 1.1 does not know that.",
            hint="Score such data by version 2.0: `tunelab score squad_v2 ...`.",
        )
    if probabilities is None:
        return
    if version == "1.1":
        raise DataError(
            "No-answer probabilities were given, but in version 1.1 every question has an answer.",
            hint="Leave them out, or score by version 2.0: `tunelab score squad_v2 ...`.",
        )
    lacking = [key for key in predicted if key not in probabilities]
    if lacking:
        raise DataError(
            f"The no-answer probabilities lack {len(lacking)} of {len(predicted)} predicted "
            f"questions, the first is '{lacking[0]}'.",
            hint="Give one for every prediction, or none at all.",
        )
