"""The runs of a cluster in one table: which wait, which go on and where, how the others ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.live import Live
from rich.table import Table

WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Row:
    """A run."""

    node: str = ""
    state: str = WAITS
    since: float = 0.0
    """Seconds since the epoch at which it got there."""


class Notes:
    """Where each run goes on, as the nodes tell; an actor of the cluster."""

    def __init__(self) -> None:
        self._nodes: dict[str, str] = {}

    def begin(self, run: str, node: str) -> None:
        """A run has begun on a node, maybe again."""
        self._nodes[run] = node

    def nodes(self) -> dict[str, str]:
        """The node of each run that has begun."""
        return dict(self._nodes)


class Board:
    """Shows the runs on standard error: a table on a terminal, a line for each change elsewhere."""

    def __init__(self, runs: Sequence[str], *, quiet: bool) -> None:
        self._rows = {run: Row() for run in runs}
        self._quiet = quiet
        self._console = Console(file=sys.stderr)
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """For as long as runs go on."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(self._table(), console=self._console, transient=True) as self._live:
            yield
        self._live = None

    def begun(self, nodes: Mapping[str, str]) -> None:
        """Where runs go on now."""
        for run, node in nodes.items():
            row = self._rows.get(run)
            if row is None or row.state not in (WAITS, "runs") or row.node == node:
                continue
            again = f" (after {row.node})" if row.node else ""
            self._change(run, Row(node, "runs", time.time()), f"runs on {node}{again}")
        if self._live is not None:
            self._live.update(self._table())

    def ended(self, run: str, state: str, node: str) -> None:
        """How a run ended."""
        row = replace(self._rows[run], node=node or self._rows[run].node, state=state)
        done = sum(each.state not in (WAITS, "runs") for each in self._rows.values()) + 1
        self._change(run, row, f"{state} ({done} of {len(self._rows)})")

    def _change(self, run: str, row: Row, told: str) -> None:
        self._rows[run] = row
        if not self._quiet and self._live is None:
            self._console.print(f"{run}: {told}", highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table("run", "node", "state", "seconds", box=None)
        for run, row in self._rows.items():
            seconds = f"{time.time() - row.since:.0f}" if row.state == "runs" else ""
            table.add_row(run, row.node, row.state, seconds)
        return table
