"""ROUGE-L as Google's rouge_score computes it (Lin 2004; rouge_score/rouge_scorer.py, no stemmer).

F = 2 P R / (P + R) over the longest common subsequence of words; of several references the best
counts. Words are runs of a-z and 0-9 in lower case, as there: letters of other scripts count for
nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")


def rouge_l(text: str, references: Sequence[str]) -> float:
    """F of the longest common subsequence with the best of the references, 0 to 1."""
    words = _WORD.findall(text.lower())
    return max(_f(words, _WORD.findall(reference.lower())) for reference in references)


def _f(words: Sequence[str], wanted: Sequence[str]) -> float:
    if not words or not wanted:
        return 0.0
    common = _longest_common(words, wanted)
    precision, recall = common / len(words), common / len(wanted)
    return 2 * precision * recall / (precision + recall) if common else 0.0


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table in one number.

    Bit i of `row` is 0 where the table's row rises at word i of `first` (Hyyro 2004): thousands of
    words against thousands take milliseconds.
    """
    places: dict[str, int] = defaultdict(int)
    for place, word in enumerate(first):
        places[word] |= 1 << place
    everything = (1 << len(first)) - 1
    row = everything
    for word in second:
        met = row & places.get(word, 0)
        row = ((row + met) | (row - met)) & everything
    return len(first) - row.bit_count()
