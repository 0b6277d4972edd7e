"""The texts of the questions that a study was tested on, if their files are on this machine.

Predictions hold ids, answers and gold answers, no paragraphs. Files and the generated set are read
again; a data set of the hub is not, because a report needs no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunelab.data import Example, load_sources
from tunelab.errors import TunelabError
from tunelab.recipe import SquadTask, Task, expand_variables
from tunelab.report.study import Items

_AGAIN = "Make the test data readable here and run `tunelab report` again."


@dataclass(frozen=True, slots=True)
class Questions:
    """Id -> the question; and why there are none, where there are none."""

    texts: dict[str, Example]
    missing: str = ""


def read_questions(task: Task, items: Items) -> Questions:
    """The questions of the items; one of the same id with other gold answers is another one."""
    if not isinstance(task, SquadTask):
        return Questions({}, f"The page shows no texts of the task {task.kind}.")
    try:
        away = [name for name in task.test if not _is_here(name)]
        if away:
            return Questions({}, f"{', '.join(away)} cannot be read on this machine. {_AGAIN}")
        found = load_sources(task.test, part="test", version=task.version)
    except TunelabError as error:
        return Questions({}, f"{error.problem} {_AGAIN}")
    wanted = dict(zip(items.ids, zip(items.groups, items.gold, strict=True), strict=True))
    texts = {e.id: e for e in found if wanted.get(e.id) == (e.group, e.gold)}
    if not texts:
        return Questions({}, f"{', '.join(task.test)} holds other questions now. {_AGAIN}")
    return Questions(texts)


def _is_here(name: str) -> bool:
    generated = name == "reading" or name.startswith("reading/")
    return generated or Path(expand_variables(name)).is_file()
