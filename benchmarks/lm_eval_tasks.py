"""lm-eval's own tasks on the files of $TUNELAB_DATA: a folder for `--include-path`.

    python -m benchmarks.lm_eval_tasks --data FOLDER --to FOLDER [--items N] [--subjects N]

Each task includes the task file that lies in lm-eval and replaces nothing but where the items come
from, so prompts, shots, preprocessing and metrics are lm-eval's. Two tasks are added: perplexity of
whole articles (rolling windows), and written answers to questions (generation).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunelab.data import read_squad

SEED = 0
Rows = list[dict[str, Any]]
LETTERS = "ABCD"
ANSWERS: dict[str, Any] = {
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{passage}}\nQuestion: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["\n", ". "], "max_gen_toks": 12, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean"}],
    "metadata": {"version": 1.0},
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task file, and the items that it names."""

    name: str
    rows: dict[str, Rows]
    """Of each split."""
    include: str | None
    """lm-eval's own task file, below its folder of tasks."""
    settings: dict[str, Any]
    """Laid over it."""

    def write(self, folder: Path) -> None:
        """Write both."""
        import lm_eval.tasks

        files: dict[str, str] = {}
        for split, content in self.rows.items():
            path = folder / f"{self.name}-{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
            files[split] = str(path)
        task: dict[str, Any] = {
            "task": self.name,
            "tag": None,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
            **self.settings,
        }
        if self.include is not None:
            task["include"] = str(Path(lm_eval.tasks.__file__).parent / self.include)
        written = yaml.safe_dump(task, sort_keys=False)
        (folder / f"{self.name}.yaml").write_text(written, encoding="utf-8")


def write_tasks(
    data: Path, folder: Path, *, items: int | None = None, subjects: int | None = None
) -> list[str]:
    """Write all tasks and return their names.

    Args:
        data: the folder around squad/, mmlu/ and the others.
        folder: where to.
        items: of each task (of each subject of MMLU), drawn at random; None: all.
        subjects: of MMLU, evenly spaced in the order of their names; None: all 57.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shots = [_arc(row) for row in _lines(data / "arc" / "ARC-Challenge-Dev.jsonl")]
    asked = [_arc(row) for row in _lines(data / "arc" / "ARC-Challenge-Test.jsonl")]
    arc = {"train": shots, "test": _draw(asked, items)}
    truthful = {"validation": _draw(_truthful(data / "truthfulqa" / "mc_task.json"), items)}
    no_training: dict[str, Any] = {"training_split": None}
    test_only: dict[str, Any] = {"training_split": None, "validation_split": None}
    first: dict[str, Any] = {"fewshot_config": {"sampler": "first_n"}}
    twenty_five: dict[str, Any] = {"validation_split": None, "num_fewshot": 25}
    hellaswag = {"validation": _draw(_hellaswag(data / "hellaswag"), items)}
    pubmed = {"test": _draw(_pubmed(data / "pubmedqa"), items)}
    pages = {"test": _articles(data / "squad" / "xquad.en.json", items)}
    questions = {"test": _draw(_questions(data / "squad" / "xquad.en.json"), items)}
    tasks = [
        *(_mmlu(data / "mmlu", subject, items) for subject in chosen(data, subjects)),
        Task("local_arc_25", arc, "arc/arc_challenge.yaml", twenty_five),
        Task("local_arc_25_first", arc, "arc/arc_challenge.yaml", twenty_five | first),
        Task("local_hellaswag", hellaswag, "hellaswag/hellaswag.yaml", no_training),
        Task("local_truthfulqa_mc1", truthful, "truthfulqa/truthfulqa_mc1.yaml", {}),
        Task("local_truthfulqa_mc2", truthful, "truthfulqa/truthfulqa_mc2.yaml", {}),
        Task("local_pubmedqa", pubmed, "pubmedqa/pubmedqa.yaml", test_only),
        Task("local_perplexity", pages, "wikitext/wikitext.yaml", test_only),
        Task("local_answers", questions, None, ANSWERS),
    ]
    for task in tasks:
        task.write(folder)
    return [task.name for task in tasks]


def chosen(data: Path, subjects: int | None) -> list[str]:
    """Names of subjects of MMLU, evenly spaced."""
    files = sorted((data / "mmlu" / "test").glob("*_test.csv"))
    known = [path.stem.removesuffix("_test") for path in files]
    count = len(known) if subjects is None else subjects
    return [known[index * len(known) // count] for index in range(count)]


def texts(data: Path) -> Iterable[str]:
    """Text of all kinds that the tasks are made of, for training a tokenizer."""
    for path in sorted((data / "mmlu" / "val").glob("*.csv")):
        yield path.read_text(encoding="utf-8")
    yield (data / "arc" / "ARC-Challenge-Dev.jsonl").read_text(encoding="utf-8")
    for row in _hellaswag(data / "hellaswag")[:500]:
        yield " ".join([row["ctx_a"], *row["endings"]])
    for row in _pubmed(data / "pubmedqa")[:250]:
        yield " ".join(row["CONTEXTS"])
    yield (data / "truthfulqa" / "mc_task.json").read_text(encoding="utf-8")


def _mmlu(mmlu: Path, subject: str, items: int | None) -> Task:
    rows = {
        "dev": _csv(mmlu / "dev" / f"{subject}_dev.csv"),
        "test": _draw(_csv(mmlu / "test" / f"{subject}_test.csv"), items),
    }
    return Task(
        f"local_mmlu_{subject}", rows, f"mmlu/default/mmlu_{subject}.yaml", {"num_fewshot": 5}
    )


def _csv(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {"question": row[0], "choices": row[1:5], "answer": LETTERS.index(row[5])}
            for row in csv.reader(file)
        ]


def _arc(row: dict[str, Any]) -> dict[str, Any]:
    choices = row["question"]["choices"]
    return {
        "question": row["question"]["stem"],
        "choices": {
            "text": [each["text"] for each in choices],
            "label": [each["label"] for each in choices],
        },
        "answerKey": row["answerKey"],
    }


def _hellaswag(folder: Path) -> Rows:
    kept = ("activity_label", "ctx_a", "ctx_b", "endings", "label")
    rows = _lines(folder / "hellaswag_val_1000.jsonl")
    return [{key: row[key] for key in kept} for row in rows]


def _truthful(path: Path) -> Rows:
    def targets(given: dict[str, int]) -> dict[str, list[Any]]:
        return {"choices": list(given), "labels": list(given.values())}

    return [
        {
            "question": row["question"],
            "mc1_targets": targets(row["mc1_targets"]),
            "mc2_targets": targets(row["mc2_targets"]),
        }
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]


def _pubmed(folder: Path) -> Rows:
    everything = json.loads((folder / "ori_pqal.json").read_text(encoding="utf-8"))
    test = json.loads((folder / "test_ground_truth.json").read_text(encoding="utf-8"))
    kept = ("QUESTION", "CONTEXTS", "final_decision")
    return [{key: everything[pmid][key] for key in kept} for pmid in test]


def _articles(path: Path, items: int | None) -> Rows:
    by_article: dict[str, dict[str, None]] = {}
    for example in read_squad(path):
        by_article.setdefault(example.article, {})[example.context] = None
    pages = [{"page": "\n\n".join(paragraphs)} for paragraphs in by_article.values()]
    return pages if items is None else pages[: max(1, items // 4)]


def _questions(path: Path) -> Rows:
    return [
        {"passage": each.context, "question": each.question, "answer": each.gold[0]}
        for each in read_squad(path)
    ]


def _lines(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _draw(rows: Sequence[dict[str, Any]], items: int | None) -> Rows:
    if items is None or items >= len(rows):
        return list(rows)
    return random.Random(SEED).sample(list(rows), items)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lm_eval_tasks")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--items", type=int, help="of each task; all if left out")
    parser.add_argument("--subjects", type=int, help="of MMLU; all 57 if left out")
    options = parser.parse_args()
    print(
        "\n".join(
            write_tasks(options.data, options.to, items=options.items, subjects=options.subjects)
        )
    )
