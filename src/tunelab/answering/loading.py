"""From what a user names (a run, an adapter, a checkpoint) to a model that answers."""

from __future__ import annotations

from tunelab.answering.answerer import Answerer
from tunelab.runs.source import find_source, load_source


def load_answerer(source: str) -> Answerer:
    """Load a finished run, an adapter of PEFT, or a checkpoint as it is.

    Args:
        source: as `find_source` takes it.

    Raises:
        UsageError: there are several runs, or the run did not finish.
        ModelError: the checkpoint is missing or cannot be loaded.
        RecordError: the run stored no weights, or its files are damaged.
    """
    found = find_source(source)
    return Answerer(found.name, found.recipe, load_source(found), threshold=found.threshold)
