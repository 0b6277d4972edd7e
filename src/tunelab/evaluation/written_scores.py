"""The metrics of tasks that are answered in free text, and of general text. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from tunelab.evaluation.metric import Measured, Metric, Units
from tunelab.metrics.rouge import rouge_l
from tunelab.metrics.squad import Floats, Mask, answer_f1
from tunelab.records import Prediction, Read, Replied

REPLIES = (
    "f1: words as bags, normalised as in the official SQuAD 2.0; rouge_l: F of rouge_score without "
    "a stemmer; both of the written reply against the best accepted one; fraction. loss: nats per "
    "token of all turns of the assistant with their ends, read behind the true turns before them; "
    "perplexity = exp(loss), to be compared between models of one tokenizer alone; bits_per_byte "
    "over the bytes of the replies. both_sides: replies in which the model writes the user's turn "
    "too; unended: replies without an end within evaluation.max_new_tokens"
)
GENERAL = (
    "of windows over general text: perplexity = exp(nats per token), bits_per_byte over the bytes "
    "of the text in UTF-8"
)


def measure_replies(task: str, predictions: Sequence[Prediction], *, unit: str) -> Measured:
    """Of replies: F1, ROUGE-L, perplexity, and how many replies take both sides or never end."""
    everything = np.ones(len(predictions), dtype=np.bool_)
    metrics = {
        "f1": Metric("F1", everything, _judge(predictions, _f1)),
        "rouge_l": Metric("ROUGE-L", everything, _judge(predictions, _rouge_l)),
    }
    beside: dict[str, Metric] = {}
    read = np.array([row.read is not None for row in predictions])
    if read.any():
        metrics["perplexity"] = _perplexity(predictions, read)
        metrics["bits_per_byte"] = _bits_per_byte(predictions, read)
        beside["loss"] = _loss(predictions, read)
    rates: dict[str, tuple[str, Callable[[Replied], bool]]] = {
        "both_sides": ("both sides", lambda replied: replied.both_sides),
        "unended": ("unended", lambda replied: replied.finished == "length"),
    }
    asked = np.array([row.replied is not None for row in predictions])
    if asked.any():
        for name, (spoken, judge) in rates.items():
            values = np.array(
                [100.0 * judge(row.replied) if row.replied else 0.0 for row in predictions]
            )
            metrics[name] = Metric(spoken, asked, values, lower_is_better=True)
    headline = tuple(n for n in ("f1", "rouge_l", "bits_per_byte", "both_sides") if n in metrics)
    return _measured(task, REPLIES, Units(unit), metrics, headline, beside)


def measure_text(task: str, predictions: Sequence[Prediction]) -> Measured:
    """Of general text: perplexity and bits per byte."""
    everything = np.ones(len(predictions), dtype=np.bool_)
    metrics = {
        "perplexity": _perplexity(predictions, everything),
        "bits_per_byte": _bits_per_byte(predictions, everything),
    }
    return _measured(task, GENERAL, Units("text"), metrics, tuple(metrics), {})


def mean_loss(rows: Collection[Read]) -> float:
    """Nats per token over all that was read; infinite where nothing was."""
    tokens = sum(row.tokens for row in rows)
    return -sum(row.log_prob for row in rows) / tokens if tokens else math.inf


def _judge(predictions: Sequence[Prediction], judge: Callable[[Prediction], float]) -> Floats:
    """(N,) a judgement of every item, in points."""
    return np.array([100.0 * judge(row) for row in predictions], np.float64)


def _f1(row: Prediction) -> float:
    return answer_f1(row.answer, row.gold)


def _rouge_l(row: Prediction) -> float:
    return rouge_l(row.answer, row.gold)


def _loss(predictions: Sequence[Prediction], about: Mask) -> Metric:
    return Metric(
        "loss", about, _ratio(*_nats(predictions)[:2], about), scale=1, lower_is_better=True
    )


def _bits_per_byte(predictions: Sequence[Prediction], about: Mask) -> Metric:
    nats, _, bytes_ = _nats(predictions)
    values = _ratio(nats / math.log(2), bytes_, about)
    return Metric("bits per byte", about, values, scale=1, lower_is_better=True)


def _perplexity(predictions: Sequence[Prediction], about: Mask) -> Metric:
    """exp of the loss, by the delta method: P (1 + loss of the item - loss)."""
    loss = _ratio(*_nats(predictions)[:2], about)
    mean = float(loss[about].mean())
    values = np.where(about, math.exp(mean) * (1 + loss - mean), 0.0)
    return Metric("perplexity", about, values, scale=1, lower_is_better=True)


def _nats(predictions: Sequence[Prediction]) -> tuple[Floats, Floats, Floats]:
    """(N,) each: nats, tokens and bytes of what was read of every item."""
    rows = [
        (-row.read.log_prob, row.read.tokens, row.read.bytes) if row.read else (0.0, 0, 0)
        for row in predictions
    ]
    nats, tokens, bytes_ = np.array(rows, np.float64).T
    return nats, tokens, bytes_


def _ratio(above: Floats, below: Floats, about: Mask) -> Floats:
    """Values whose plain mean is the ratio R of two sums, with its spread by the delta method.

    R + (above - R below) / mean(below): items weigh as much as they are long.
    """
    mean = float(below[about].mean())
    whole = float(above[about].sum() / below[about].sum())
    return np.where(about, whole + (above - whole * below) / mean, 0.0)


def _measured(
    task: str,
    convention: str,
    units: Units,
    metrics: dict[str, Metric],
    headline: tuple[str, ...],
    beside: dict[str, Metric],
) -> Measured:
    return Measured(
        task=task,
        convention=convention,
        units=units,
        metrics=metrics,
        headline=headline,
        figures={name: metric.figure for name, metric in {**metrics, **beside}.items()},
        beside=beside,
    )
