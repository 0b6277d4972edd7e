"""The test of the published order: what it compares, and that it finds a planted model."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tunelab.data import Example
from tunelab.evaluation.contamination import SHUFFLES, order_test, other_orders, score_orders
from tunelab.prompts.encoded import EncodedExample
from tunelab.records import OrderShard


def paragraphs(count: int, questions: int = 4) -> list[Example]:
    drawn = random.Random(7)
    words = [f"w{index}" for index in range(40)]
    return [
        Example(
            id=f"{group}-{number}",
            question=" ".join(drawn.choices(words, k=5)) + "?",
            context="never read",
            answers=(),
            group=f"p{group}",
            article="a",
        )
        for group in range(count)
        for number in range(questions)
    ]


class Memory:
    """Reads letters, and finds texts that it knows likelier."""

    def __init__(self, known: Sequence[str] = (), *, room: int = 500) -> None:
        self.known = set(known)
        self.room = room
        self.noise = random.Random(3)

    def encode_text(self, text: str) -> EncodedExample:
        ids = (0, *map(ord, text))
        return EncodedExample(ids, (False, *(True for _ in text)))

    def text_log_probs(self, texts: Sequence[EncodedExample], name: str) -> list[float]:
        read = ["".join(map(chr, text.ids[1:])) for text in texts]
        assert not any("never read" in text for text in read)
        return [self.noise.gauss(0, 1) + 2.0 * (text in self.known) for text in read]


def published(examples: Sequence[Example]) -> list[str]:
    groups = dict.fromkeys(example.group for example in examples)
    return [
        "".join(f"{each.question}\n" for each in examples if each.group == group)
        for group in groups
    ]


def test_a_model_that_knows_the_order_is_found_and_one_that_does_not_is_not() -> None:
    examples = paragraphs(60)
    knowing = score_orders(examples, seed=0, model=Memory(published(examples)))
    found = order_test(knowing)
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert (found.shards, found.items) == (60, 240)
    assert found.gain == pytest.approx(2.0 / 4, abs=0.15)
    innocent = order_test(score_orders(examples, seed=0, model=Memory()))
    assert innocent.p_value is not None
    assert innocent.p_value > 0.05


def test_the_p_value_is_uniform_where_nothing_was_seen() -> None:
    drawn = np.random.default_rng(0)
    values = drawn.normal(size=(400, 10, SHUFFLES + 1))
    p_values = [
        order_test(
            [
                OrderShard(group=str(g), items=4, canonical=row[0], shuffled=tuple(row[1:]))
                for g, row in enumerate(study)
            ]
        ).p_value
        for study in values
    ]
    below = float(np.mean([p is not None and p < 0.05 for p in p_values]))
    assert below == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 400))


def test_orders_are_different_and_never_the_published_one() -> None:
    for count in range(2, 9):
        orders = other_orders(count, random.Random(0))
        assert len(set(orders)) == len(orders) == min(SHUFFLES, math.factorial(count) - 1)
        assert tuple(range(count)) not in orders
        assert all(sorted(order) == list(range(count)) for order in orders)


def test_paragraphs_of_one_question_and_of_equal_questions_say_nothing() -> None:
    single = paragraphs(3, questions=1)
    assert score_orders(single, seed=0, model=Memory()) == []
    found = order_test([])
    assert (found.p_value, found.shards) == (None, 0)


def test_a_paragraph_that_is_too_long_keeps_its_first_questions() -> None:
    examples = paragraphs(2, questions=6)
    longest = max(map(len, published(examples)))
    shards = score_orders(examples, seed=0, model=Memory(room=longest // 2))
    assert all(2 <= shard.items < 6 for shard in shards)


@pytest.mark.slow
def test_a_small_model_that_was_trained_on_the_ordered_test_set_is_found(
    small_decoder: Path, tmp_path: Path
) -> None:
    """The same model before and after it met the test file, up to the report."""
    import json

    import torch
    import yaml
    from tests.running import run_here
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunelab.data import read_squad
    from tunelab.data.reading import generate
    from tunelab.report import write_report

    for split in ("train", "test"):
        document = json.dumps(generate(split, questions=100))
        (tmp_path / f"{split}.json").write_text(document)
    texts = published(read_squad(tmp_path / "test.json"))
    tokenizer = AutoTokenizer.from_pretrained(small_decoder)
    model = AutoModelForCausalLM.from_pretrained(small_decoder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = [torch.tensor([[0, *tokenizer(t, add_special_tokens=False).input_ids]]) for t in texts]
    for _ in range(12):
        for row in rows:
            model(input_ids=row, labels=row).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(tmp_path / "planted")
    tokenizer.save_pretrained(tmp_path / "planted")

    recipe = {
        "name": "planted",
        "task": {"train": "train.json", "test": "test.json", "validation": 0},
        "model": {"max_length": 1500},
        "tuning": {"kind": "none"},
        "evaluation": {
            "contamination": True,
            "max_new_tokens": 2,
            "no_answer_threshold": "decoded",
        },
        "grid": {"model.path": [str(small_decoder), str(tmp_path / "planted")]},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run_here(tmp_path / "recipe.yaml", tmp_path / "out")
    document = write_report(tmp_path / "out").document()
    by_run = {row["run"]: row["p_value"] for row in document["order_of_test_set"]}
    [planted] = [p for run, p in by_run.items() if "planted" in run]
    [untrained] = [p for run, p in by_run.items() if "planted" not in run]
    assert planted < 1e-3
    assert untrained > 0.01
    table = (tmp_path / "out" / "table.md").read_text()
    assert "prefers the published order of the test set: p = " in table
    assert "shows no preference for the published order of the test set: p = " in table
