"""The web app: how soon its first page is there, and how fast questions are answered.

    python -m benchmarks.app [--model NAME]

Without a model: `tiny` tuned on the spot to answer and stop, which has the goals, and `tiny` as it
is, which writes until it is stopped.

`tunelab app` runs in a process of its own on two threads. The page is opened in headless Chromium,
each time as by a new visitor, from the moment that the address is printed until its buttons are
there. Then visitors without a browser ask: one question after the other, and 16 at once, each of
them a different one on the same paragraph.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.goals import Goal, at_most
from benchmarks.visitor import Visitor
from tunelab.data.reading import generate
from tunelab.data.squad import parse_squad
from tunelab.recipe import validate
from tunelab.records import find_runs
from tunelab.runs.experiment import run_experiment

PAGE_GOAL = 2.0
"""Seconds."""
ANSWER_GOAL = 300.0
"""Milliseconds."""
VISITORS = 16
PAGES = 5
_TOOK = re.compile(r"\d+ ms")
_TUNED: dict[str, Any] = {
    "name": "asked in the app",
    "task": {"kind": "squad", "version": "1.1", "train": "reading", "test": "reading"}
    | {"train_limit": 400, "test_limit": 20, "validation": 0},
    "model": {"path": "tiny", "max_length": 1024},
    "tuning": {"kind": "full"},
    "training": {"epochs": 1, "batch_size": 16, "learning_rate": 1.0e-3, "select": "last"},
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen."""

    model: str
    pages: tuple[float, ...]
    """Seconds, the first one first; empty without a browser."""
    alone: tuple[float, ...]
    """Milliseconds of each question."""
    together: float
    """Seconds until all visitors at once had their answers."""
    equal: bool
    """Whether their answers were those that each got alone."""

    @property
    def held(self) -> bool:
        """Whether all goals were reached."""
        in_time = not self.pages or max(self.pages) < PAGE_GOAL
        return self.equal and in_time and statistics.median(self.alone) < ANSWER_GOAL


def run(model: str = "tiny") -> Seen:
    """Open the page, and ask."""
    examples = parse_squad(generate("test", questions=200), source="reading")
    paragraph = examples[0].context
    with _served(model) as (url, name):
        pages = tuple(_pages(url))

        def ask(number: int) -> tuple[str, float]:
            visitor, question = Visitor(url), f"What is number {number}?"
            began = time.perf_counter()
            [page, *_] = visitor.press("ask", [name], paragraph, question, "as the run does", None)
            return _TOOK.sub("", page), 1000 * (time.perf_counter() - began)

        ask(0)  # loads the model
        alone = [ask(number) for number in range(VISITORS)]
        began = time.perf_counter()
        with ThreadPoolExecutor(VISITORS) as pool:
            together = list(pool.map(ask, range(VISITORS)))
        seconds = time.perf_counter() - began
    equal = [page for page, _ in alone] == [page for page, _ in together]
    return Seen(name, pages, tuple(took for _, took in alone), seconds, equal)


def both() -> tuple[Seen, Seen]:
    """`tiny` tuned, and as it is."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        run_experiment(validate(_TUNED, source="the benchmark"), out, quiet=True)
        [tuned] = find_runs(out)
        return run(str(tuned.path)), run()


def table(rows: Sequence[Seen]) -> str:
    """A row a model."""
    lines = [
        f"| model | first page (goal {PAGE_GOAL:g} s) | a question (goal {ANSWER_GOAL:g} ms) | "
        f"{VISITORS} at once | same answers |",
        "| --- | ---: | ---: | ---: | --- |",
        *map(_line, rows),
    ]
    return "\n".join(lines)


def goals(rows: Sequence[Seen]) -> list[Goal]:
    """Those of each model."""
    found: list[Goal] = []
    for seen in rows:
        if seen.pages:
            slowest = [max(seen.pages)]
            found.append(at_most(f"app on {seen.model}: slowest page", slowest, PAGE_GOAL, "s"))
        found += [
            at_most(f"app on {seen.model}: a question", seen.alone, ANSWER_GOAL, "ms", digits=0),
            Goal(
                f"app on {seen.model}: {VISITORS} at once",
                f"{seen.together:.2f} s",
                "the answers of each alone",
                seen.equal,
                "yes" if seen.equal else "NO",
            ),
        ]
    return found


def _line(seen: Seen) -> str:
    page = f"{seen.pages[0]:.2f} s, then {max(seen.pages[1:]):.2f} s at most" if seen.pages else "-"
    alone = sorted(seen.alone)
    return (
        f"| {seen.model} | {page} | {statistics.median(alone):.0f} ms, {alone[0]:.0f} to "
        f"{alone[-1]:.0f} | {seen.together:.2f} s | {'yes' if seen.equal else 'no'} |"
    )


def _pages(url: str) -> Iterator[float]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        return
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(PAGES):
            page = browser.new_context().new_page()
            began = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.wait_for_selector("#ask")
            yield time.perf_counter() - began
            page.context.close()
        browser.close()


@contextmanager
def _served(model: str) -> Iterator[tuple[str, str]]:
    """The address of a page on one model, and what the model is called there."""
    command = [sys.executable, "-m", "tunelab", "app", model, "--no-teaching", "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip(), Path(model).name
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and say whether the goals were reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app")
    parser.add_argument("--model", help="a run or checkpoint")
    model = parser.parse_args(arguments).model
    rows = (run(model),) if model else both()
    print(table(rows))
    return 0 if rows[0].held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
