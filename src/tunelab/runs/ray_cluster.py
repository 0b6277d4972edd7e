"""`--executor ray`: the runs of a grid as tasks of a Ray cluster, many at once.

A run is one task with the resources it needs. When its node dies, Ray gives the task to another
node; there it goes on from its last checkpoint if the node sees the study's directory, and begins
anew if not. The process that was started by the user keeps the books: it knows from the files what
is missing, and it alone writes the study's tables. Ray is asked for tasks, retries and transport,
and for nothing that ends up in a result.
"""

from __future__ import annotations

import importlib
import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tunelab import __version__
from tunelab.data import Example, TaskData
from tunelab.errors import Interrupted, TunelabError, UsageError
from tunelab.recipe import Recipe, digest, trained_by
from tunelab.records import Manifest
from tunelab.runs.ending import write_ending
from tunelab.runs.marks import Mark, marked, sees
from tunelab.runs.parcels import pack, unpack
from tunelab.runs.planned import Planned
from tunelab.runs.ray_board import Board, Notes
from tunelab.runs.ray_task import Done, Order, do
from tunelab.runs.sharing import Share, Shared
from tunelab.runs.stopping import interruptible

# an extra: by name, so that types can be checked where it is not installed
ray: Any = importlib.import_module("ray")
ray_exceptions: Any = importlib.import_module("ray.exceptions")
_strategies: Any = importlib.import_module("ray.util.scheduling_strategies")

RETRIES = 3
"""How often a run is given to another node before it counts as failed."""
_OBJECT_STORE_BYTES = 256 * 2**20
"""Of a cluster that is started here: examples and small parcels go through it."""
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_STOP = 30.0
_SECONDS_TO_PROBE = 60.0


class Cluster:
    """Does runs on the nodes of a Ray cluster that this process is connected to."""

    def __init__(self, out: Path, mark: Mark, *, say: Callable[[str], None]) -> None:
        self._say = say
        self._out = out.resolve()
        self._mark = mark
        notes = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Notes)
        here = _strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        self._notes: Any = notes.options(scheduling_strategy=here).remote()
        _refuse_strangers(self._notes)
        self._data: dict[str, Any] = {}
        self._going: dict[Any, Planned] = {}
        self._all_see: bool | None = None

    def run_all(self, items: Sequence[Planned], *, share: Share, quiet: bool) -> Iterator[Manifest]:
        """Do the runs side by side; their manifests in the order of `items`.

        Raises:
            UsageError: no node has what a run needs.
        """
        board = Board([item.directory.path.name for item in items], quiet=quiet)
        done: dict[Path, Manifest] = {}
        with board.shown():
            for wave in _waves(items):
                for item in wave:
                    self._going[self._start(item, share(item.recipe))] = item
                while self._going:
                    for item, manifest in self._look(board):
                        done[item.directory.path] = manifest
        for item in items:
            yield done[item.directory.path]

    def stop(self) -> None:
        """Ask what goes on to write a checkpoint and end; wait for it a while."""
        for task in self._going:
            ray.cancel(task)
        if self._going:
            ray.wait(list(self._going), num_returns=len(self._going), timeout=_SECONDS_TO_STOP)

    def _start(self, item: Planned, shared: Shared) -> Any:
        order = Order(
            recipe=item.recipe,
            label=item.label,
            directory=item.directory.path.resolve(),
            tokens=shared.tokens,
            mark=self._mark,
            version=__version__,
        )
        return _task.options(**self._resources()).remote(
            order, self._examples(item.recipe, shared.data), self._luggage(item), self._notes
        )

    def _resources(self) -> dict[str, Any]:
        """A core, and an accelerator where the cluster has any."""
        there = ray.cluster_resources()
        if there.get("CPU", 0) < 1:
            raise UsageError(
                "A run needs a core, and no node of the Ray cluster has one to give.",
                hint="Start a node: ray start --address=HEAD:6379",
            )
        return {"num_cpus": 1, "num_gpus": 1 if there.get("GPU", 0) else 0}

    def _examples(self, recipe: Recipe, data: TaskData[Example] | None) -> Any:
        """Examples travel once for all runs of a task."""
        if data is None:
            return None
        task = recipe.task.model_dump_json()
        if task not in self._data:
            self._data[task] = ray.put(data)
        return self._data[task]

    def _luggage(self, item: Planned) -> list[Any]:
        """What a node needs that does not see the study."""
        if self._everybody_sees():
            return []
        found = [item.directory.path] if item.directory.steps.exists() else []
        if item.recipe.evaluation.quantize:
            wanted = digest(trained_by(item.recipe))
            found += item.directory.path.parent.glob(f"*-seed{item.recipe.seed}-{wanted}")
        return [ray.put(pack(path)) for path in found]

    def _everybody_sees(self) -> bool:
        """Whether all nodes see the study; tells those that do not."""
        if self._all_see is None:
            nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
            asked = [
                _probe.options(
                    scheduling_strategy=_strategies.NodeAffinitySchedulingStrategy(node, soft=True)
                ).remote(self._mark)
                for node in nodes
            ]
            ready, _ = ray.wait(asked, num_returns=len(asked), timeout=_SECONDS_TO_PROBE)
            answers = [_answer(each) for each in ready]
            for name in sorted({name for name, there in answers if not there}):
                self._say(f"{name} does not see {self._out}: what it does is copied back")
            self._all_see = len(ready) == len(asked) and all(there for _, there in answers)
        return self._all_see

    def _look(self, board: Board) -> Iterator[tuple[Planned, Manifest]]:
        """What has ended since the last look."""
        ready, _ = ray.wait(list(self._going), timeout=_SECONDS_BETWEEN_LOOKS)
        with suppress(ray_exceptions.RayError):  # it is for show alone
            board.begun(ray.get(self._notes.nodes.remote()))
        for task in ready:
            item = self._going.pop(task)
            manifest, node = _collect(task, item)
            board.ended(item.directory.path.name, manifest.status, node)
            yield item, manifest


@contextmanager
def ray_cluster(address: str | None, out: Path, *, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Connect to a cluster, or start one on this machine; what goes on is stopped in the end.

    Args:
        address: as Ray has it, such as `auto` or 10.0.0.1:6379; None starts a cluster here.
        out: the study.
        say: told of nodes that do not see it.

    Raises:
        UsageError: nobody answers at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else here),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"No Ray cluster answers at '{address}': {error}",
            hint="Start one with `ray start --head`, or leave --address out.",
        ) from error
    with ExitStack() as stack:
        stack.callback(ray.shutdown)
        stack.enter_context(interruptible())  # Ray has handlers of its own
        cluster = Cluster(out, stack.enter_context(marked(out)), say=say)
        stack.callback(cluster.stop)
        yield cluster


@ray.remote(
    max_retries=RETRIES,
    retry_exceptions=[Interrupted],
    scheduling_strategy="SPREAD",
)
def _task(order: Order, data: TaskData[Example] | None, luggage: list[Any], notes: Any) -> Done:
    notes.begin.remote(order.directory.name, _name_of_node())
    return do(order, data, lambda: ray.get(luggage))


@ray.remote(num_cpus=0)
def _probe(mark: Mark) -> tuple[str, bool]:
    return _name_of_node(), sees(mark)


def _name_of_node() -> str:
    """Its machine's name, and what tells it from other nodes there."""
    return f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:6]}"


def _refuse_strangers(notes: Any) -> None:
    """The nodes must have tunelab."""
    try:
        ray.get(notes.nodes.remote())
    except ray_exceptions.RayActorError as error:
        raise UsageError(
            f"The Ray cluster cannot import tunelab {__version__}: "
            f"{str(error).strip().splitlines()[-1]}",
            hint="Install the same version, with the extra `ray`, on all nodes.",
        ) from error


def _answer(probe: Any) -> tuple[str, bool]:
    """A node that is gone sees nothing."""
    with suppress(ray_exceptions.RayError):
        return ray.get(probe)
    return "a node that is gone", False


def _waves(items: Sequence[Planned]) -> list[list[Planned]]:
    """Those that score another run's weights come after it."""
    first = [item for item in items if not item.recipe.evaluation.quantize]
    return [first, [item for item in items if item.recipe.evaluation.quantize]]


def _collect(task: Any, item: Planned) -> tuple[Manifest, str]:
    """The manifest of a run that has ended, and the node that it ended on."""
    try:
        done: Done = ray.get(task)
    except ray_exceptions.RayTaskError as error:
        cause = error.cause
        told = str(cause) if isinstance(cause, TunelabError) else f"A defect of tunelab: {cause!r}"
        return write_ending(item.recipe, item.label, item.directory, "failed", told), ""
    except ray_exceptions.RayError as error:
        told = f"Its node was lost {RETRIES + 1} times: {type(error).__name__}. Run again."
        return write_ending(item.recipe, item.label, item.directory, "failed", told), ""
    if done.parcel is not None:
        unpack(done.parcel, item.directory.path.parent)
    return item.directory.read_manifest(), done.node
