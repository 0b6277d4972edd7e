"""How an error that ends a run is told in its manifest."""

from __future__ import annotations

import traceback

from tunelab.errors import DivergedError, Interrupted, TunelabError
from tunelab.records import Status
from tunelab.runs.crew import LESS_MEMORY
from tunelab.runs.memory import is_out_of_memory
from tunelab.training.devices import LOST, is_lost


def ending(error: Exception) -> tuple[Status, str, str]:
    """Status, message, and for a defect of ours the trace, of a run that `error` ended."""
    match error:
        case Interrupted():
            return "interrupted", str(error), ""
        case DivergedError():
            return "diverged", str(error), ""
        case TunelabError():
            return "failed", str(error), ""
        case _ if is_out_of_memory(error):
            return "out_of_memory", f"Memory ran out: {error}. {LESS_MEMORY}", ""
        case _ if is_lost(error):
            return "failed", f"{LOST}: {error}", ""
        case _:
            trace = "".join(traceback.format_exception(error))
            return "failed", f"A defect of tunelab: {error!r}", trace
