"""One run on some node of a Ray cluster: what is executed there.

A node that sees the output directory works in it, as a run at home does, and a node that takes the
run over goes on from its last checkpoint. Whether it is the same directory, and not another under
the same name, a word tells that was written there just now. Elsewhere the run is done in a folder
of the node and travels back as a whole.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tunelab import __version__
from tunelab.data import Example, TaskData
from tunelab.errors import UsageError
from tunelab.recipe import Recipe
from tunelab.records import RunDirectory
from tunelab.runs.marks import Mark, sees
from tunelab.runs.parcels import pack, unpack
from tunelab.runs.process import Workers
from tunelab.runs.sharing import Shared


@dataclass(frozen=True, slots=True)
class Order:
    """A run that a node is asked to do."""

    recipe: Recipe
    label: str
    directory: Path
    """Of the run, where the study lies."""
    tokens: Path | None
    """Of the study, where it is seen."""
    mark: Mark
    """In the study's directory."""
    version: str
    """Of tunelab, where the study was started."""


@dataclass(frozen=True, slots=True)
class Done:
    """What comes back from a node."""

    node: str
    parcel: bytes | None
    """The run's directory; None where the node saw the study itself."""


def do(
    order: Order, data: TaskData[Example] | None, luggage: Callable[[], Sequence[bytes]]
) -> Done:
    """Do a run on this node.

    Args:
        order: the run.
        data: its examples, where they are questions on paragraphs.
        luggage: fetches directories of runs that it needs, where the study is not seen: its own as
            far as it was done, and that of the run whose weights it scores.

    Raises:
        UsageError: this node has another version of tunelab.
        Interrupted: the node was told to stop.
    """
    if order.version != __version__:
        raise UsageError(
            f"The node {platform.node()} has tunelab {__version__}, and the study is made with "
            f"{order.version}.",
            hint="Install the same version on all nodes.",
        )
    if sees(order.mark):
        shared = Shared(data, order.tokens)
        place = RunDirectory(order.directory)
        _workers().run(order.recipe, order.label, place, quiet=True, shared=shared)
        return Done(platform.node(), None)
    with tempfile.TemporaryDirectory(prefix="tunelab-") as folder:
        runs = Path(folder) / "runs"
        for parcel in luggage():
            unpack(parcel, runs)
        place = RunDirectory(runs / order.directory.name)
        _workers().run(order.recipe, order.label, place, quiet=True, shared=Shared(data))
        return Done(platform.node(), pack(place.path))


@lru_cache(maxsize=1)
def _workers() -> Workers:
    """Of this process, which does one run after the other: imports are done once."""
    return Workers()
