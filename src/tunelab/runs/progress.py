"""What a user sees of a run while it goes on: a bar on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 15.0

Advance = Callable[[int, str], None]
"""Called with how many more are done, and a short remark such as the loss."""


class Display:
    """Shows the phases of one run on standard error."""

    def __init__(
        self, title: str, *, quiet: bool, look_up: Callable[[], None] = lambda: None
    ) -> None:
        """`look_up` is called with every advance; raise from it to break off."""
        self._title = title
        self._quiet = quiet
        self._look_up = look_up
        self._console = Console(file=sys.stderr)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """A stretch of work of `total` pieces."""
        with self._shown(name, total) as show:

            def advance(pieces: int, remark: str) -> None:
                self._look_up()
                show(pieces, remark)

            yield advance

    @contextmanager
    def _shown(self, name: str, total: int) -> Iterator[Advance]:
        if self._quiet:
            yield lambda _pieces, _remark: None
        elif self._console.is_terminal:
            with self._bar() as bar:
                task = bar.add_task(f"{self._title}: {name}", total=total, remark="")
                yield lambda pieces, remark: bar.update(task, advance=pieces, remark=remark)
        else:
            yield self._lines(name, total)

    def say(self, sentence: str) -> None:
        """One line about the run."""
        if not self._quiet:
            line = f"{self._title}: {sentence}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
            console=self._console,
            transient=True,
        )

    def _lines(self, name: str, total: int) -> Advance:
        last, done = time.monotonic(), 0

        def advance(pieces: int, remark: str) -> None:
            nonlocal done, last
            done += pieces
            if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.say(f"{name} {done}/{total} {remark}".rstrip())

        return advance
