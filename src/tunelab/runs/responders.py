"""Which part of the code puts a task to a decoder, whatever the decoder was tuned for."""

from __future__ import annotations

from typing import Any, assert_never

from tunelab.data import TaskData
from tunelab.recipe import (
    ArcTask,
    ChatTask,
    FurtherTask,
    HellaswagTask,
    MmluTask,
    PubmedqaTask,
    TextQaTask,
    TextTask,
    TruthfulqaTask,
)
from tunelab.runs.choosing import Chooser
from tunelab.runs.loaded import Loaded
from tunelab.runs.passages import TextReader
from tunelab.runs.tasked import Responder
from tunelab.runs.writing import Writer


def responder_of(task: FurtherTask, data: TaskData[Any], loaded: Loaded) -> Responder[Any]:
    """What asks the questions of a task; `data` are those of the task."""
    match task:
        case PubmedqaTask() | MmluTask() | ArcTask() | HellaswagTask() | TruthfulqaTask():
            return Chooser(task, data.shots, loaded)
        case ChatTask() | TextQaTask():
            return Writer(task, loaded)
        case TextTask():
            return TextReader(task, loaded)
        case _:
            assert_never(task)
