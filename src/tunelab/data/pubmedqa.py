"""PubMedQA: the 1,000 labelled questions, and which 500 of them are the official test half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunelab.data.choice import ChoiceExample
from tunelab.data.squad import read_json
from tunelab.data.tables import hub_rows, key_index, local_path, text_of
from tunelab.errors import DataError
from tunelab.metrics.pubmedqa import LABELS

TEST_IDS = "test_ground_truth.json"
_FORM = (
    'Expected the form of ori_pqal.json: {"PMID": {"QUESTION", "CONTEXTS": [...], "LONG_ANSWER", '
    '"final_decision": "yes" | "no" | "maybe"}}.'
)


def read_pubmedqa(name: str, *, conclusion_alone: bool = False) -> list[ChoiceExample]:
    """All questions of a source, test half or not; groups are the papers.

    Args:
        name: `ori_pqal.json`, or a hub id such as qiaojin/PubMedQA.
        conclusion_alone: the context is the paper's conclusion, not the abstract before it.

    Raises:
        DataError: the source cannot be read or is not of the official form.
    """
    path = local_path(name)
    if path is None:
        rows = hub_rows(name, split="train", config="pqa_labeled")
        return [
            _example(
                str(row["pubid"]),
                row["question"],
                row["context"]["contexts"],
                row["long_answer"],
                row["final_decision"],
                place=name,
                conclusion_alone=conclusion_alone,
            )
            for row in rows
        ]
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no object.", hint=_FORM)
    examples: list[ChoiceExample] = []
    for key, row in content.items():
        place = f"{path}, '{key}'"
        contexts: Any = row.get("CONTEXTS") if isinstance(row, dict) else None
        if not isinstance(contexts, list) or not all(isinstance(text, str) for text in contexts):
            raise DataError(f"{place}: 'CONTEXTS' should be a list of texts.", hint=_FORM)
        question, conclusion, label = (
            text_of(row, name, place, form=_FORM)
            for name in ("QUESTION", "LONG_ANSWER", "final_decision")
        )
        examples.append(
            _example(
                key,
                question,
                contexts,
                conclusion,
                label,
                place=place,
                conclusion_alone=conclusion_alone,
            )
        )
    return examples


def read_labels(path: Path) -> dict[str, str]:
    """PMID -> yes, no or maybe, of ori_pqal.json or a label file such as test_ground_truth.json.

    Raises:
        DataError: neither.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} holds no labels.", hint=_FORM)
    labels: dict[str, str] = {}
    for key, value in content.items():
        label: Any = value.get("final_decision") if isinstance(value, dict) else value
        labels[key] = label
        if label not in LABELS:
            raise DataError(
                f"{path}: '{key}' has the label {label!r:.40}.",
                hint="Expected yes, no or maybe: {PMID: label}, or ori_pqal.json.",
            )
    return labels


def test_ids_beside(name: str, test_ids: str | None) -> frozenset[str]:
    """The ids of the official test half: of the named file, or of the one beside a data file.

    Raises:
        DataError: there is none.
    """
    source = local_path(name)
    beside = source.parent / TEST_IDS if source is not None else None
    path = local_path(test_ids) if test_ids else beside
    if path is None or not path.exists():
        raise DataError(
            f"PubMedQA's test half is not known: there is no {path or TEST_IDS}.",
            hint=f"Say task.test_ids={TEST_IDS}, the official file with the ids of the test half.",
        )
    return frozenset(read_labels(path))


def _example(
    key: str,
    question: str,
    contexts: list[str],
    conclusion: str,
    label: str,
    *,
    place: str,
    conclusion_alone: bool,
) -> ChoiceExample:
    return ChoiceExample(
        id=key,
        question=question,
        choices=LABELS,
        answer=key_index(label, LABELS, place=place),
        group=key,
        context=conclusion if conclusion_alone else "\n".join(contexts),
        explanation=conclusion,
    )
