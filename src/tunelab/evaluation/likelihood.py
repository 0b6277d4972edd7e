"""Log-likelihoods of many finished sequences: every shared beginning is computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.scoring import score_continuations
from tunelab.tokentree.stems import Continuation
from tunelab.tuning import TunedModel


def log_likelihoods(
    tuned: TunedModel,
    sequences: Sequence[EncodedExample],
    *,
    share: bool,
    tokens_per_pass: int,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[float]:
    """The sum of the log-probabilities of the targets of each sequence.

    Args:
        tuned: a decoder.
        sequences: in any order, each with its targets at its end.
        share: read what sequences have in common once; if not, each is read by itself.
        tokens_per_pass: tokens of a forward pass.
        advance: called with how many sequences are done.
    """
    scored = score_continuations(
        tuned.checkpoint,
        [_continuation(sequence) for sequence in sequences],
        virtual=tuned.virtual(),
        share=share,
        tokens_per_pass=tokens_per_pass,
        advance=advance,
    )
    return [each.log_prob for each in scored]


def _continuation(sequence: EncodedExample) -> Continuation:
    start = sequence.targets.index(True)
    assert all(sequence.targets[start:])
    return Continuation(sequence.ids[:start], sequence.ids[start:])
