"""Replies and texts: ratios with their spread, and metrics where lower is better."""

from __future__ import annotations

import math
import random

import pytest

from tunelab.evaluation.measure import measure, task_scores
from tunelab.recipe import ChatTask, MixtureTask, TextTask, task_name
from tunelab.records import Prediction, Read, Replied
from tunelab.statistics import judge, paired_difference

CHAT = ChatTask(kind="chat", test=("a.jsonl",))
TEXT = TextTask(kind="text", test=("a.txt",))


def row(
    number: int,
    *,
    nats: float = 10.0,
    tokens: int = 5,
    response: str = "yes",
    both_sides: bool = False,
    read: bool = True,
) -> Prediction:
    return Prediction(
        id=str(number),
        group=str(number),
        article="",
        output=response,
        answer=response,
        gold=("yes it is",),
        read=Read(log_prob=-nats, tokens=tokens, bytes=4 * tokens) if read else None,
        replied=Replied(prompt="?", response=response, finished="stop", both_sides=both_sides),
    )


def test_perplexity_is_that_of_all_tokens_together() -> None:
    draw = random.Random(0)
    rows = [row(n, nats=draw.uniform(5, 60), tokens=draw.randint(3, 30)) for n in range(40)]
    nats = -sum(each.read.log_prob for each in rows if each.read)
    tokens = sum(each.read.tokens for each in rows if each.read)
    scores = task_scores(CHAT, rows)["chat"]
    assert scores["loss"].value == pytest.approx(nats / tokens)
    assert scores["perplexity"].value == pytest.approx(math.exp(nats / tokens))
    assert scores["bits_per_byte"].value == pytest.approx(nats / math.log(2) / (4 * tokens))
    low, high = scores["loss"].low, scores["loss"].high
    assert low is not None
    assert high is not None
    assert low < scores["loss"].value < high
    assert scores["perplexity"].count == 40


def test_what_could_not_be_read_has_no_perplexity_and_counts_for_f1() -> None:
    found = measure(CHAT, [row(0, nats=5), row(1, nats=500, read=False)])
    assert found.metrics["perplexity"].about.tolist() == [True, False]
    assert found.figures["perplexity"] == pytest.approx(math.e)
    assert found.metrics["f1"].about.all()


def test_lower_is_better_in_a_verdict() -> None:
    good = measure(CHAT, [row(n, both_sides=n < 5) for n in range(100)])
    bad = measure(CHAT, [row(n, both_sides=n < 50) for n in range(100)])
    groups = [str(n) for n in range(100)]
    metric = good.metrics["both_sides"]
    difference = paired_difference(metric.values, bad.metrics["both_sides"].values, groups)
    [verdict] = judge(
        [("good", "bad", difference)],
        metric=metric.spoken,
        unit=good.units.group,
        lower_is_better=metric.lower_is_better,
    )
    assert verdict.outcome == "better"
    assert verdict.sentence.startswith("good is better than bad by 45.0 both sides [")
    assert "good alone has it on 0, bad alone on 45" in verdict.sentence


def test_a_mixture_has_the_metrics_of_its_parts_about_their_items() -> None:
    task = MixtureTask(kind="mixture", parts=(TEXT, CHAT))
    rows = [row(n, nats=5) for n in range(4)] + [row(n, nats=10) for n in range(6)]
    mixed = [
        each.model_copy(update={"id": f"{'text' if place < 4 else 'chat'}/{each.id}"})
        for place, each in enumerate(rows)
    ]
    found = measure(task, mixed)
    assert found.headline == ("chat/f1", "text/perplexity")
    assert found.metrics["text/perplexity"].about.sum() == 4
    assert found.figures["text/perplexity"] == pytest.approx(math.e)
    assert found.figures["chat/perplexity"] == pytest.approx(math.e**2)
    alone = measure(CHAT, rows[4:])
    assert found.figures["chat/f1"] == alone.figures["f1"]
    scores = task_scores(task, mixed)[task_name(task)]
    assert scores["chat/rouge_l"].count == 6
