"""The official files of the choice tasks, and what is refused of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunelab.data import load_choices
from tunelab.data.arc import read_arc
from tunelab.data.choices import in_hash_order
from tunelab.data.hellaswag import clean, read_hellaswag
from tunelab.data.mmlu import read_mmlu
from tunelab.data.pubmedqa import read_labels
from tunelab.data.truthfulqa import read_truthfulqa
from tunelab.errors import DataError, RecipeError, TunelabError
from tunelab.metrics.mmlu import CATEGORIES, CATEGORY_OF, HENDRYCKS_CATEGORY_OF, SUBJECTS
from tunelab.recipe import ArcTask, HellaswagTask, MmluTask, PubmedqaTask, TruthfulqaTask


def test_mmlu_has_57_subjects_and_both_category_maps_of_the_published_sizes(
    shared_data: Path,
) -> None:
    test = read_mmlu(str(shared_data / "mmlu"), "test", SUBJECTS)
    assert (len(test), len(SUBJECTS)) == (14_042, 57)
    sizes = {
        name: [sum(categories[e.subject] == c for e in test) for c in CATEGORIES]
        for name, categories in (("lm-eval", CATEGORY_OF), ("hendrycks", HENDRYCKS_CATEGORY_OF))
    }
    assert sizes == {
        "lm-eval": [3_153, 4_705, 3_077, 3_107],
        "hendrycks": [3_018, 4_705, 3_077, 3_242],
    }


def test_mmlu_shows_the_first_dev_questions_of_the_subject(shared_data: Path) -> None:
    task = MmluTask(kind="mmlu", test=(str(shared_data / "mmlu"),), subjects=("stem",), shots=3)
    data = load_choices(task, training=False)
    assert len(data.shots) == 19
    assert [shot.id for shot in data.shots["anatomy"]] == [f"anatomy/dev/{i}" for i in range(3)]
    assert len(data.test) == 3_153
    assert not data.train


def test_pubmedqa_is_tested_on_the_official_half(shared_data: Path) -> None:
    task = PubmedqaTask(kind="pubmedqa", test=(str(shared_data / "pubmedqa" / "ori_pqal.json"),))
    data = load_choices(task)
    labels = read_labels(shared_data / "pubmedqa" / "test_ground_truth.json")
    assert {e.id: e.gold[0] for e in data.test} == labels
    assert (len(data.train), len(data.validation)) == (450, 50)
    trained = {e.id for e in (*data.train, *data.validation)}
    assert not trained & set(labels)
    alone = load_choices(task.model_copy(update={"setting": "reasoning-free"}), training=False)
    assert alone.test[0].context == alone.test[0].explanation


def test_arc_has_three_to_five_choices_and_numbered_labels(shared_data: Path) -> None:
    name = str(shared_data / "arc" / "ARC-Challenge-Test.jsonl")
    examples = read_arc(name, "challenge", split="test")
    counts = {n: sum(len(e.choices) == n for e in examples) for n in (3, 4, 5)}
    assert counts == {3: 4, 4: 1_165, 5: 3}
    assert len(examples) == 1_172


def test_hellaswag_is_cleaned_as_lm_eval_cleans_it(shared_data: Path) -> None:
    assert clean(" Pick up. [step] Then  [title] Go [substeps] on ") == "Pick up. Then . Go on"
    folder = shared_data / "hellaswag"
    original = read_hellaswag(str(folder / "hellaswag_val_1000.jsonl"), split="validation")
    assert len(original) == 1_000
    assert not any("[" in text for e in original for text in (e.question, *e.choices))


def test_truthfulqa_holds_the_choices_of_both_scores(shared_data: Path) -> None:
    examples = read_truthfulqa(str(shared_data / "truthfulqa" / "mc_task.json"))
    assert len(examples) == 817
    raw = json.loads((shared_data / "truthfulqa" / "mc_task.json").read_text())
    for example, row in zip(examples, raw, strict=True):
        first = [c for i, c in enumerate(example.choices) if i not in example.also_true]
        assert set(first) == set(row["mc1_targets"])
        assert row["mc1_targets"][example.choices[example.answer]] == 1
        true = {example.choices[i] for i in (example.answer, *example.also_true)}
        assert true == {answer for answer, right in row["mc2_targets"].items() if right}


def _arc_line(key: str = "B", labels: str = "AB", name: str = "q1") -> str:
    choices = [{"text": f"choice {label}", "label": label} for label in labels]
    row = {"id": name, "question": {"stem": "Why?", "choices": choices}, "answerKey": key}
    return json.dumps(row) + "\n"


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_arc_line("E"), "the answer key is 'E', but the choices are A, B"),
        (_arc_line(labels="B"), "two or more are needed"),
        (_arc_line() + _arc_line(), "'q1' occurs more than once"),
        ("[1, 2]\n", "line 1"),
        ('{"id": "x"}\n', "'question' has no list of choices"),
        ("", "holds no question"),
    ],
)
def test_a_broken_arc_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    task = ArcTask(kind="arc", test=(_written(tmp_path / "arc.jsonl", text),))
    with pytest.raises(DataError, match=told):
        load_choices(task, training=False)


def test_missing_subjects_are_named(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "anatomy_test.csv").write_text("Q,a,b,c,d,A\n")
    task = MmluTask(kind="mmlu", test=(str(tmp_path),), shots=0)
    with pytest.raises(DataError, match=r"lacks 56 of 57 subjects.*") as caught:
        load_choices(task, training=False)
    assert "task.subjects=[anatomy]" in caught.value.hint
    data = load_choices(task.model_copy(update={"subjects": ("anatomy",)}), training=False)
    assert len(data.test) == 1
    with pytest.raises(DataError, match="no subject 'anatomie'") as caught:
        load_choices(task.model_copy(update={"subjects": ("anatomie",)}), training=False)
    assert "Did you mean 'anatomy'" in caught.value.hint


@pytest.mark.parametrize("line", ["Q,a,b,c,A\n", "Q,a,b,c,d,E\n"])
def test_a_wrong_mmlu_line_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "anatomy_test.csv").write_text(line)
    with pytest.raises(DataError, match="question 1"):
        read_mmlu(str(tmp_path), "test", ["anatomy"])


def test_other_mistakes_are_told(tmp_path: Path) -> None:
    pqal = {"1": {"QUESTION": "q", "CONTEXTS": ["c"], "LONG_ANSWER": "l", "final_decision": "yes"}}
    path = _written(tmp_path / "ori_pqal.json", json.dumps(pqal))
    wrong: list[tuple[object, type[TunelabError], str]] = [
        (PubmedqaTask(kind="pubmedqa", test=(path,)), DataError, "test half is not known"),
        (
            HellaswagTask(
                kind="hellaswag",
                test=(_written(tmp_path / "h.jsonl", '{"activity_label": "a", "ctx_a": "b"}\n'),),
            ),
            DataError,
            "'ctx_b' should be text",
        ),
        (
            TruthfulqaTask(
                kind="truthfulqa",
                test=(
                    _written(
                        tmp_path / "t.json",
                        '[{"question": "q", "mc1_targets": {"a": 0}, "mc2_targets": {"a": 0}}]',
                    ),
                ),
            ),
            DataError,
            "one true answer",
        ),
        (
            ArcTask(kind="arc", test=(_written(tmp_path / "a.jsonl", _arc_line()),), shots=5),
            RecipeError,
            "task.shots is 5, but there are 0",
        ),
    ]
    for task, kind, told in wrong:
        with pytest.raises(kind, match=told):
            load_choices(task, training=False)  # pyright: ignore[reportArgumentType]


def test_a_smaller_limit_takes_a_part_of_a_larger_one(shared_data: Path) -> None:
    name = str(shared_data / "arc" / "ARC-Challenge-Dev.jsonl")
    examples = read_arc(name, "challenge", split="train")
    assert in_hash_order(examples, 10) == in_hash_order(examples[::-1], 30)[:10]
