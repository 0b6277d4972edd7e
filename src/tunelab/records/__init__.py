"""What lies in a run directory: typed, versioned, written so that a kill leaves no half file.

`RunDirectory` knows the names of the files; the other nouns are their contents. The run directory
is the only interface between training and everything that reads its results.
"""

from tunelab.records.contents import (
    SCHEMA_VERSION,
    Cost,
    Decoded,
    FileRecord,
    Finish,
    Manifest,
    OrderShard,
    Prediction,
    Proof,
    Read,
    Replied,
    Score,
    Scores,
    SearchCost,
    Span,
    Status,
    Step,
    Weighed,
)
from tunelab.records.directory import RunDirectory, find_runs
from tunelab.records.files import append_line, file_digest, read_lines, write_atomically
from tunelab.records.forecast import Forecast

__all__ = [
    "SCHEMA_VERSION",
    "Cost",
    "Decoded",
    "FileRecord",
    "Finish",
    "Forecast",
    "Manifest",
    "OrderShard",
    "Prediction",
    "Proof",
    "Read",
    "Replied",
    "RunDirectory",
    "Score",
    "Scores",
    "SearchCost",
    "Span",
    "Status",
    "Step",
    "Weighed",
    "append_line",
    "file_digest",
    "find_runs",
    "read_lines",
    "write_atomically",
]
