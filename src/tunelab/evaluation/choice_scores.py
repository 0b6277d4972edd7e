"""The metrics of tasks with given answers, from predictions. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tunelab.evaluation.metric import Measured, Metric, Units
from tunelab.metrics.choices import likeliest, true_share
from tunelab.metrics.mmlu import CATEGORIES, CATEGORY_OF, HENDRYCKS_CATEGORY_OF
from tunelab.metrics.pubmedqa import LABELS, score_pubmedqa
from tunelab.metrics.squad import Floats
from tunelab.records import Prediction, Weighed

PUBMEDQA = (
    "official PubMedQA (evaluation.py): accuracy and macro-F1 over yes, no, maybe; fraction; an "
    "answer that is none of them is wrong"
)
MMLU = (
    "acc as in lm-eval 0.4.13, by question; acc_by_subject: the mean of the subjects' own; "
    "categories by lm-eval's map (anatomy in STEM), those named hendrycks by the authors' "
    "(anatomy in other); fraction"
)
CHOICES = (
    "as in lm-eval 0.4.13: acc takes the likeliest choice, acc_norm the likeliest per character; "
    "fraction"
)
TRUTHFULQA = (
    "as in lm-eval 0.4.13: mc1, the best answer is likelier than all false ones; mc2, the share of "
    "the true answers in the probability of all; fraction"
)


def measure_pubmedqa(task: str, predictions: Sequence[Prediction]) -> Measured:
    """Accuracy and macro-F1, each label's F1; beside them the confusion and the baseline."""
    gold, given = [row.gold[0] for row in predictions], [row.answer for row in predictions]
    scored = score_pubmedqa(gold, given)
    everything = np.ones(len(gold), dtype=np.bool_)
    metrics = {
        "accuracy": Metric("accuracy", everything, 100 * scored.right),
        "macro_f1": Metric("macro-F1", everything, 100 * scored.macro_f1),
    }
    for label, values in scored.f1.items():
        metrics[f"f1_{label}"] = Metric(f"F1 of {label}", everything, 100 * values)
    beside = {"majority_baseline": Metric("majority", everything, 100 * scored.majority)}
    for right in LABELS:
        about = np.array([label == right for label in gold])
        if about.any():
            for answer in (*LABELS, ""):
                said = np.array([_label(each) == answer for each in given], dtype=np.float64)
                name = f"{right}_answered_{answer or 'unreadably'}"
                beside[name] = Metric(name, about, 100 * said)
    headline = ("accuracy", "macro_f1")
    return _measured(task, PUBMEDQA, Units("paper"), metrics, headline, beside)


def measure_mmlu(task: str, predictions: Sequence[Prediction]) -> Measured:
    """By question, by subject, and by category; beside them the other map, and every subject."""
    right = _judge(predictions, lambda row: likeliest(row.log_probs) == row.answer)
    subjects = [row.article for row in predictions]
    everything = np.ones(len(subjects), dtype=np.bool_)
    by_subject = "acc_by_subject"
    metrics = {
        "acc": Metric("acc", everything, right),
        by_subject: Metric("acc by subject", everything, _subject_mean(right, subjects)),
    }
    beside: dict[str, Metric] = {}
    for suffix, category_of in (("", CATEGORY_OF), ("_hendrycks", HENDRYCKS_CATEGORY_OF)):
        for category in CATEGORIES:
            about = np.array([category_of[subject] == category for subject in subjects])
            if about.any():
                name = f"acc_{category}{suffix}"
                found = Metric(f"acc of {category.replace('_', ' ')}", about, right)
                (beside if suffix else metrics)[name] = found
                inside = [s for s, wanted in zip(subjects, about, strict=True) if wanted]
                values = right.copy()
                values[about] = _subject_mean(right[about], inside)
                beside[f"{name}_by_subject"] = Metric(name, about, values)
    for subject in dict.fromkeys(subjects):
        about = np.array([each == subject for each in subjects])
        beside[f"acc/{subject}"] = Metric(subject, about, right)
    headline = ("acc", by_subject)
    return _measured(task, MMLU, Units("question", "subject"), metrics, headline, beside)


def measure_choices(task: str, predictions: Sequence[Prediction]) -> Measured:
    """acc and acc_norm."""
    everything = np.ones(len(predictions), dtype=np.bool_)
    metrics = {
        "acc": Metric(
            "acc",
            everything,
            _judge(predictions, lambda row: likeliest(row.log_probs) == row.answer),
        ),
        "acc_norm": Metric("acc_norm", everything, _judge(predictions, _right_by_length)),
    }
    return _measured(task, CHOICES, Units("question"), metrics, ("acc_norm", "acc"))


def measure_truthfulqa(task: str, predictions: Sequence[Prediction]) -> Measured:
    """MC1 and MC2."""
    everything = np.ones(len(predictions), dtype=np.bool_)
    metrics = {
        "mc1": Metric("MC1", everything, _judge(predictions, _best_among_false)),
        "mc2": Metric(
            "MC2",
            everything,
            _judge(
                predictions, lambda row: true_share(row.log_probs, {row.answer, *row.also_true})
            ),
        ),
    }
    return _measured(task, TRUTHFULQA, Units("question"), metrics, ("mc2", "mc1"))


def _measured(
    task: str,
    convention: str,
    units: Units,
    metrics: dict[str, Metric],
    headline: tuple[str, ...],
    beside: Mapping[str, Metric] | None = None,
) -> Measured:
    further = dict(beside or {})
    return Measured(
        task=task,
        convention=convention,
        units=units,
        metrics=metrics,
        headline=headline,
        figures={name: metric.figure for name, metric in {**metrics, **further}.items()},
        beside=further,
    )


def _judge(predictions: Sequence[Prediction], judge: Callable[[Weighed], float]) -> Floats:
    """(N,) a judgement of every item, in points; an item without weights is wrong."""
    return np.array(
        [100.0 * judge(row.weighed) if row.weighed else 0.0 for row in predictions], np.float64
    )


def _right_by_length(row: Weighed) -> bool:
    lengths = [len(choice) for choice in row.choices]
    return likeliest(row.log_probs, lengths=lengths) == row.answer


def _best_among_false(row: Weighed) -> bool:
    among = set(range(len(row.log_probs))).difference(row.also_true)
    return likeliest(row.log_probs, among=among) == row.answer


def _subject_mean(values: Floats, subjects: Sequence[str]) -> Floats:
    """Values whose plain mean is the mean M of the subjects' means m, with its spread.

    M + w (value - m), where w = N / (subjects x questions of the subject): subjects are fixed, and
    questions are what is drawn.
    """
    names, codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    means = np.bincount(codes, weights=values) / counts
    weights = len(values) / (len(names) * counts)
    return means.mean() + weights[codes] * (values - means[codes])


def _label(answer: str) -> str:
    return answer if answer in LABELS else ""
