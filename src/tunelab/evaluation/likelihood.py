"""Log-likelihoods of many finished sequences: every shared beginning is computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from tunelab.errors import DivergedError
from tunelab.prompts.encoded import EncodedExample
from tunelab.tokentree.reading import readable_rows, sequence_log_probs
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

    Raises:
        DivergedError: the model's log-probabilities are not numbers.
    """
    scored = score_continuations(
        tuned.checkpoint,
        [_continuation(sequence) for sequence in sequences],
        virtual=tuned.virtual(),
        share=share,
        tokens_per_pass=tokens_per_pass,
        advance=advance,
    )
    return [_number(each.log_prob) for each in scored]


@torch.inference_mode()
def target_sums(
    tuned: TunedModel,
    sequences: Sequence[EncodedExample],
    *,
    share: bool,
    tokens_per_pass: int,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[float]:
    """The same of sequences whose targets stand anywhere, such as all replies of a conversation.

    Args:
        tuned: as in `log_likelihoods`.
        sequences: in any order.
        share: as in `log_likelihoods`.
        tokens_per_pass: as in `log_likelihoods`.
        advance: as in `log_likelihoods`.

    Raises:
        DivergedError: the model's log-probabilities are not numbers.
    """
    rows = readable_rows(tuned.checkpoint, sequences, share=share, tokens_per_pass=tokens_per_pass)
    sums = [0.0] * len(sequences)
    tuned.model.eval()
    for row in rows:
        members = [sequences[index] for index in row.examples]
        found = sequence_log_probs(tuned.checkpoint, row.tree, members, virtual=tuned.virtual())
        for index, log_prob in zip(row.examples, found.log_probs.tolist(), strict=True):
            sums[index] = _number(log_prob)
        advance(len(members))
    return sums


def _number(log_prob: float) -> float:
    if not math.isfinite(log_prob):
        raise DivergedError(
            f"The model gives a text the log-probability {log_prob}.",
            hint="Its weights are no numbers any more; lower training.learning_rate.",
        )
    return log_prob


def _continuation(sequence: EncodedExample) -> Continuation:
    start = sequence.targets.index(True)
    assert all(sequence.targets[start:])
    return Continuation(sequence.ids[:start], sequence.ids[start:])
