"""Weighed choices are what the model gives them one by one; the wording is lm-eval's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tests.choices import write_pubmedqa
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunelab.data import ChoiceExample, load_choices
from tunelab.evaluation.choosing import written
from tunelab.metrics.choices import NONE, likeliest, true_share
from tunelab.prompts.choices import ChoicePrompter, Loss, asked, said, trained
from tunelab.recipe import (
    AnyChoiceTask,
    ArcTask,
    Evaluation,
    HellaswagTask,
    MmluTask,
    NoTuning,
    PubmedqaTask,
    TruthfulqaTask,
)
from tunelab.runs.choosing import Chooser
from tunelab.runs.loaded import Loaded
from tunelab.runs.progress import Display
from tunelab.tuning import apply_tuning

Pair = tuple[Any, Any]
"""A model and its tokenizer."""

QUESTION = ChoiceExample(
    id="q", question=" Which one?", choices=("one", "two", "three"), answer=1, group="q",
    subject="high_school_biology", context="A long text. " * 40, explanation="It is two.",
)  # fmt: skip


def tasks(data: Path) -> list[AnyChoiceTask]:
    mmlu = (str(data / "mmlu"),)
    arc = (str(data / "arc" / "ARC-Challenge-Test.jsonl"),)
    return [
        MmluTask(kind="mmlu", test=mmlu, subjects=("anatomy", "virology"), shots=2, test_limit=6),
        MmluTask(
            kind="mmlu", test=mmlu, subjects=("virology",), shots=0, test_limit=3, scoring="text"
        ),
        ArcTask(
            kind="arc",
            test=arc,
            train=(str(data / "arc" / "ARC-Challenge-Dev.jsonl"),),
            shots=1,
            test_limit=4,
        ),
        HellaswagTask(
            kind="hellaswag",
            test=(str(data / "hellaswag" / "hellaswag_val_1000.jsonl"),),
            test_limit=4,
        ),
        TruthfulqaTask(
            kind="truthfulqa",
            test=(str(data / "truthfulqa" / "mc_task.json"),),
            test_limit=3,
        ),
        PubmedqaTask(
            kind="pubmedqa",
            test=(str(data / "pubmedqa" / "ori_pqal.json"),),
            test_limit=2,
        ),
    ]


@pytest.fixture(scope="module")
def model_and_tokenizer(small_decoder: Path) -> Pair:
    tokenizer = AutoTokenizer.from_pretrained(small_decoder)
    model = AutoModelForCausalLM.from_pretrained(small_decoder).eval()
    return model, tokenizer


def test_weights_are_those_of_every_choice_alone(
    shared_data: Path, model_and_tokenizer: Pair
) -> None:
    """Against the text read whole, one at a time, by transformers' own path."""
    model, tokenizer = model_and_tokenizer
    tuned = apply_tuning(model, NoTuning(kind="none"), total_steps=1, seed=0)
    for task in tasks(shared_data):
        data = load_choices(task, training=False)
        loaded = Loaded(
            tuned,
            tokenizer,
            Evaluation(max_new_tokens=4),
            max_length=2048,
            accelerator=Accelerator(),
            display=Display("test", quiet=True),
        )
        chooser = Chooser(task, data.shots, loaded)
        predictions = chooser.answer(data.test, "test")
        assert not loaded.notes
        for example, prediction in zip(data.test, predictions, strict=True):
            assert prediction.weighed is not None
            shots = data.shots.get(example.subject, data.shots.get("", ()))
            worked = "".join(
                asked(task, shot) + said(task, shot)[shot.answer] + "\n\n" for shot in shots
            )
            before = _intro(task, example) + worked + asked(task, example)
            expected = [_alone(model, tokenizer, before, choice) for choice in said(task, example)]
            found = prediction.weighed.log_probs
            assert found == pytest.approx(expected, abs=1e-4)


def test_answers_are_written_in_the_way_that_is_asked_for(
    tmp_path: Path, model_and_tokenizer: Pair
) -> None:
    model, tokenizer = model_and_tokenizer
    task = PubmedqaTask(kind="pubmedqa", test=(str(write_pubmedqa(tmp_path)),), read="generation")
    data = load_choices(task, training=False)

    def said_with(seed: int, **settings: Any) -> list[str]:
        loaded = Loaded(
            apply_tuning(model, NoTuning(kind="none"), total_steps=1, seed=0),
            tokenizer,
            Evaluation(max_new_tokens=6, **settings),
            max_length=2048,
            accelerator=Accelerator(),
            display=Display("test", quiet=True),
            seed=seed,
        )
        found = Chooser(task, data.shots, loaded).answer(data.test, "test")
        return [each.decoded.response for each in found if each.decoded is not None]

    assert said_with(0) == said_with(1)
    sampled = [said_with(seed, decoding="sample", temperature=2.0) for seed in (0, 0, 1)]
    assert sampled[0] == sampled[1] != sampled[2]


def _intro(task: AnyChoiceTask, example: ChoiceExample) -> str:
    if isinstance(task, TruthfulqaTask):
        return (
            "Q: What is human life expectancy in the United States?\nA: Human life expectancy in "
            "the United States is 78 years.\n\nQ: Who was president of the United States in 1955?\n"
            "A: Dwight D. Eisenhower was president of the United States in 1955.\n\nQ: Which party "
            "did he belong to?\nA: He belonged to the Republican Party.\n\nQ: What is the square "
            "root of banana?\nA: I have no comment.\n\nQ: How does a telescope work?\nA: "
            "Telescopes use lenses or mirrors to focus light and make objects appear closer.\n\n"
            "Q: Where were the 1992 Olympics held?\nA: The 1992 Olympics were held in Barcelona, "
            "Spain.\n\n"
        )
    if not isinstance(task, MmluTask):
        return ""
    kind = "questions" if task.scoring == "text" else "multiple choice questions"
    subject = example.subject.replace("_", " ")
    return f"The following are {kind} (with answers) about {subject}.\n\n"


@torch.inference_mode()
def _alone(model: Any, tokenizer: Any, before: str, choice: str) -> float:
    """lm-eval's rule: the target begins behind the tokens of the bare prompt."""
    start = len(tokenizer(before.rstrip())["input_ids"])
    ids = torch.tensor(tokenizer(before + choice)["input_ids"])
    log_probs = model(ids[None]).logits[0].log_softmax(-1)
    return float(log_probs[range(start - 1, len(ids) - 1), ids[start:]].sum())


def test_what_is_too_long_loses_shots_then_context_and_never_the_question(
    model_and_tokenizer: Pair,
) -> None:
    _, tokenizer = model_and_tokenizer
    task = PubmedqaTask(kind="pubmedqa", target="label-first")
    shots = {"": (QUESTION, QUESTION)}
    whole = ChoicePrompter(tokenizer, task, shots, max_length=10_000).choices([QUESTION])
    assert not whole.losses
    full = max(len(choice.ids) for choice in whole.encoded[0])
    for limit, loss in ((full - 1, Loss.SHOTS), (full // 5, Loss.CONTEXT), (5, Loss.QUESTION)):
        fitted = ChoicePrompter(tokenizer, task, shots, max_length=limit).choices([QUESTION])
        assert fitted.losses == {loss: 1}
        texts = [tokenizer.decode(list(choice.ids)) for choice in fitted.encoded[0]]
        assert all(len(choice.ids) <= limit for choice in fitted.encoded[0])
        assert len(texts) == (0 if loss is Loss.QUESTION else 3)
        assert all("Question:  Which one?" in text for text in texts)


def test_the_label_is_trained_first_and_the_end_too(model_and_tokenizer: Pair) -> None:
    _, tokenizer = model_and_tokenizer
    task = PubmedqaTask(kind="pubmedqa", target="label-first")
    assert trained(task, QUESTION) == " two. It is two."
    prompter = ChoicePrompter(tokenizer, task, {}, max_length=2000)
    [[encoded]] = prompter.answers([QUESTION]).encoded
    target = [i for i, wanted in zip(encoded.ids, encoded.targets, strict=True) if wanted]
    assert tokenizer.decode(target) == " two. It is two.</s>"


def test_likeliest_and_shares() -> None:
    assert likeliest([-1.0, -1.0, -2.0]) == 0
    assert likeliest([-3.0, -4.0], lengths=[1, 4]) == 1
    assert likeliest([-1.0, -2.0, -3.0], among={1, 2}) == 1
    assert likeliest([]) == NONE
    assert true_share([-1000.0, -1000.0, -1000.0 - 50], {0, 2}) == pytest.approx(0.5)
    assert true_share([], {0}) == 0


def test_the_first_label_that_is_written_counts() -> None:
    assert written(QUESTION, "p", "Not one, TWO.", finished="stop").answer == "one"
    nothing = written(QUESTION, "p", "someone", finished="length")
    assert nothing.answer == ""
    assert nothing.decoded is not None
    assert not nothing.decoded.valid
