"""From a choice task in a recipe to its examples, split and limited, with its worked examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from tunelab.data.arc import read_arc
from tunelab.data.choice import ChoiceExample
from tunelab.data.example import text_hash
from tunelab.data.hellaswag import read_hellaswag
from tunelab.data.mmlu import choose_subjects, read_mmlu
from tunelab.data.pubmedqa import read_pubmedqa, test_ids_beside
from tunelab.data.sources import TaskData
from tunelab.data.splits import hold_out
from tunelab.data.tables import check_choices, local_path
from tunelab.data.truthfulqa import read_truthfulqa
from tunelab.errors import DataError, RecipeError
from tunelab.recipe import (
    AnyChoiceTask,
    ArcTask,
    HellaswagTask,
    MmluTask,
    PubmedqaTask,
    TruthfulqaTask,
)

Shots = dict[str, tuple[ChoiceExample, ...]]
"""Subject -> the worked examples in front of its questions; "" for a task without subjects."""


def load_choices(task: AnyChoiceTask, *, training: bool = True) -> TaskData[ChoiceExample]:
    """Load, check, split and limit the data of a choice task.

    Args:
        task: of any kind with given answers.
        training: whether something is trained or held out; if not, its training part need not be
            there.

    Raises:
        DataError: a source cannot be read, or has an answer that is none of the choices.
        RecipeError: worked examples are asked for, and there is nothing to take them from.
    """
    test = _read(task.test, lambda name: _test_part(task, name))
    trained_on = _training_sources(task)
    wanted = training or (_shots_wanted(task) > 0 and not isinstance(task, MmluTask))
    source = _read(trained_on, lambda name: _train_part(task, name)) if wanted else []
    shots, source = _take_shots(task, source, test)
    overlap = {example.id for example in source} & {example.id for example in test}
    if overlap:
        source = [example for example in source if example.id not in overlap]
    train, validation = hold_out(source, task.validation if training else 0.0)
    train, test = in_hash_order(train, task.train_limit), in_hash_order(test, task.test_limit)
    notes: list[str] = []
    if source and training:
        notes.append(f"validation: {len(validation)} of {len(source)} training questions, by hash")
    if overlap:
        notes.append(f"{len(overlap)} training questions are also tested and were left out")
    if task.train_limit is not None and training and len(train) < task.train_limit:
        notes.append(f"train_limit {task.train_limit} asked for, {len(train)} questions there are")
    return TaskData(train, validation, test, tuple(notes), shots)


def in_hash_order(examples: Sequence[ChoiceExample], limit: int | None) -> list[ChoiceExample]:
    """Up to `limit` questions in the order of a hash of their ids, whatever that of the file."""
    return sorted(examples, key=lambda example: text_hash(example.id))[:limit]


def _read(names: Sequence[str], read: Callable[[str], list[ChoiceExample]]) -> list[ChoiceExample]:
    examples = [example for name in names for example in read(name)]
    if names:
        check_choices(examples, source=" + ".join(names))
    return examples


def _test_part(task: AnyChoiceTask, name: str) -> list[ChoiceExample]:
    match task:
        case PubmedqaTask():
            ids = test_ids_beside(name, task.test_ids)
            examples = _read_pubmedqa(task, name)
            missing = ids - {example.id for example in examples}
            if missing:
                raise DataError(
                    f"{name} lacks {len(missing)} of the {len(ids)} questions of the test half, "
                    f"such as '{min(missing)}'.",
                    hint="Take ori_pqal.json as it was published.",
                )
            return [example for example in examples if example.id in ids]
        case MmluTask():
            return read_mmlu(name, "test", choose_subjects(task.subjects))
        case ArcTask():
            return read_arc(name, task.part, split="test")
        case HellaswagTask():
            return read_hellaswag(name, split="validation")  # the test labels are not public
        case TruthfulqaTask():
            return read_truthfulqa(name)
        case _:
            assert_never(task)


def _train_part(task: AnyChoiceTask, name: str) -> list[ChoiceExample]:
    match task:
        case PubmedqaTask():
            ids = test_ids_beside(name, task.test_ids)
            return [each for each in _read_pubmedqa(task, name) if each.id not in ids]
        case MmluTask():
            return read_mmlu(name, "val", choose_subjects(task.subjects))
        case ArcTask():
            return read_arc(name, task.part, split="train")
        case HellaswagTask():
            return read_hellaswag(name, split="train")
        case TruthfulqaTask():
            return read_truthfulqa(name)
        case _:
            assert_never(task)


def _read_pubmedqa(task: PubmedqaTask, name: str) -> list[ChoiceExample]:
    return read_pubmedqa(name, conclusion_alone=task.setting == "reasoning-free")


def _training_sources(task: AnyChoiceTask) -> tuple[str, ...]:
    """What is named for training, or what lies beside the test part."""
    if task.train or isinstance(task, TruthfulqaTask):
        return task.train
    if isinstance(task, PubmedqaTask | MmluTask):
        return task.test
    return tuple(name for name in task.test if local_path(name) is None)  # the hub has both


def _shots_wanted(task: AnyChoiceTask) -> int:
    return 0 if isinstance(task, TruthfulqaTask) else task.shots


def _take_shots(
    task: AnyChoiceTask, source: list[ChoiceExample], test: Sequence[ChoiceExample]
) -> tuple[Shots, list[ChoiceExample]]:
    """The worked examples, and the training questions without them."""
    wanted = _shots_wanted(task)
    if wanted == 0:
        return {}, source
    if isinstance(task, MmluTask):
        subjects = tuple(dict.fromkeys(example.subject for example in test))
        shots: dict[str, list[ChoiceExample]] = defaultdict(list)
        for name in task.test:
            for example in read_mmlu(name, "dev", subjects):
                shots[example.subject].append(example)
        return {subject: tuple(shots[subject][:wanted]) for subject in subjects}, source
    tested = {example.id for example in test}
    known = [example for example in in_hash_order(source, None) if example.id not in tested]
    if len(known) < wanted:
        raise RecipeError(
            f"task.shots is {wanted}, but there are {len(known)} training questions to show.",
            hint="Name some with task.train=FILE, or set task.shots=0.",
        )
    chosen = tuple(replace(example, subject="") for example in known[:wanted])
    return {"": chosen}, [each for each in source if each.id not in {c.id for c in chosen}]
