"""MMLU: the authors' CSV files of 57 subjects, or a hub data set.

mmlu/dev/anatomy_dev.csv      5 questions a subject: the worked examples
mmlu/val/anatomy_val.csv      what may be trained on
mmlu/test/anatomy_test.csv    question, A, B, C, D, letter of the answer; no header
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tunelab.data.choice import ChoiceExample
from tunelab.data.tables import hub_rows, key_index, local_path
from tunelab.errors import DataError, did_you_mean
from tunelab.metrics.mmlu import CATEGORIES, CATEGORY_OF, SUBJECTS

Part = Literal["dev", "val", "test"]

_LETTERS = ("A", "B", "C", "D")
_HUB_SPLITS: dict[Part, str] = {"dev": "dev", "val": "validation", "test": "test"}
_FORM = "Expected lines of question, A, B, C, D, and the letter of the answer, without a header."


def choose_subjects(names: Sequence[str]) -> tuple[str, ...]:
    """Subjects by their names or by lm-eval's categories, in alphabetical order; none means all.

    Raises:
        DataError: a name is neither.
    """
    if not names:
        return SUBJECTS
    chosen: set[str] = set()
    for name in names:
        if name in CATEGORIES:
            chosen.update(s for s in SUBJECTS if CATEGORY_OF[s] == name)
        elif name in SUBJECTS:
            chosen.add(name)
        else:
            raise DataError(
                f"MMLU has no subject '{name}'.", hint=did_you_mean(name, [*SUBJECTS, *CATEGORIES])
            )
    return tuple(sorted(chosen))


def read_mmlu(name: str, part: Part, subjects: Sequence[str]) -> list[ChoiceExample]:
    """The questions of a part, subject by subject in the order given, as the files have them.

    Raises:
        DataError: a subject's file is missing, or a line is not of the official form.
    """
    folder = local_path(name)
    if folder is None:
        return _read_hub(name, part, subjects)
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder.", hint="Give the folder of MMLU that holds dev, val and test."
        )
    place = folder / part if (folder / part).is_dir() else folder
    files = {subject: place / f"{subject}_{part}.csv" for subject in subjects}
    missing = [path.name for path in files.values() if not path.exists()]
    if missing:
        there = sorted(path.stem.removesuffix(f"_{part}") for path in place.glob(f"*_{part}.csv"))
        raise DataError(
            f"{place} lacks {len(missing)} of {len(files)} subjects, the first is {missing[0]}.",
            hint=f"Name what is there: task.subjects=[{', '.join(there)}]."
            if there
            else "It should hold files such as anatomy_test.csv in dev, val and test.",
        )
    return [e for subject, path in files.items() for e in _read_file(path, subject, part)]


def _read_file(path: Path, subject: str, part: Part) -> list[ChoiceExample]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint=_FORM) from error
    examples: list[ChoiceExample] = []
    for number, row in enumerate(rows):
        here = f"{path}, question {number + 1}"
        if len(row) != 2 + len(_LETTERS):
            raise DataError(f"{here} has {len(row)} fields.", hint=_FORM)
        examples.append(
            _example(f"{subject}/{part}/{number}", row[0], row[1:5], row[5].strip(), subject, here)
        )
    return examples


def _read_hub(name: str, part: Part, subjects: Sequence[str]) -> list[ChoiceExample]:
    counts = dict.fromkeys(subjects, 0)
    examples: dict[str, list[ChoiceExample]] = {subject: [] for subject in subjects}
    for row in hub_rows(name, split=_HUB_SPLITS[part], config="all"):
        subject = row["subject"]
        if subject in counts:
            key = f"{subject}/{part}/{counts[subject]}"
            counts[subject] += 1
            letter = _LETTERS[row["answer"]]
            examples[subject].append(
                _example(key, row["question"], row["choices"], letter, subject, name)
            )
    return [example for subject in subjects for example in examples[subject]]


def _example(
    key: str, question: str, choices: Sequence[str], letter: str, subject: str, place: str
) -> ChoiceExample:
    return ChoiceExample(
        id=key,
        question=question,
        choices=tuple(choices),
        answer=key_index(letter, _LETTERS, place=place),
        group=key,
        subject=subject,
    )
