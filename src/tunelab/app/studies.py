"""A study while it goes on: its table, curves and verdicts, and how far every run is.

What is shown comes from the files of the runs, as the report does. It is made again only when they
have changed, which is looked for in their sizes and times.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from tunelab.app.rendering import render
from tunelab.errors import UsageError
from tunelab.records import RunDirectory
from tunelab.report.charts import loss_chart
from tunelab.report.figures import duration
from tunelab.report.page import colours_of, page
from tunelab.report.recommendation import NO_LIMITS
from tunelab.report.report import Report, make_report
from tunelab.report.study import Run, read_study
from tunelab.report.views import loss_curves, score_table

_WATCHED = ("manifest.json", "steps.jsonl", "scores.json")

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that is not finished, as a line."""

    name: str
    status: str
    told: str
    percent: float | None
    """Of its training; None where it is not known."""


class Studies:
    """Studies as HTML, each kept until its files change."""

    def __init__(self) -> None:
        self._made: dict[Path, tuple[Signature, str]] = {}
        self._lock = threading.Lock()

    def html(self, directory: Path) -> str:
        """A study as it stands.

        Raises:
            TunelabError: it cannot be read.
        """
        with self._lock:
            now = signature(directory)
            made, text = self._made.get(directory, (None, ""))
            if made != now:
                text = study_html(directory)
                self._made[directory] = now, text
            return text


def signature(directory: Path) -> Signature:
    """Changes whenever a file does that the view is made from."""
    places = [directory, *sorted((directory / "runs").glob("*"))]
    files = [place / name for place in places for name in ("recipe.yaml", "looks.json", *_WATCHED)]
    found: list[tuple[str, int, int]] = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)


def study_html(directory: Path) -> str:
    """The view of a study: what the report says, and the runs that are under way.

    Raises:
        TunelabError: it cannot be read.
    """
    try:
        report = make_report(read_study(directory), NO_LIMITS)
    except UsageError:  # no run has begun
        return render("waiting", {"name": directory.name})
    colours = colours_of(report)
    curves = loss_curves(report, running=True)
    return render(
        "study",
        {
            "report": report,
            "table": score_table(report, colours),
            "loss_chart": loss_chart(curves, colours) if curves else "",
            "under_way": [_under_way(run) for run in _unfinished(report)],
            "missing": sum(len(row.method.missing_seeds) for row in report.rows),
            "finished": sum(len(row.method.finished) for row in report.rows),
        },
    )


def whole_report_html(directory: Path) -> str:
    """The study's report page, in a frame of its own that may do nothing.

    Raises:
        TunelabError: it cannot be read.
    """
    whole = page(make_report(read_study(directory), NO_LIMITS))
    return render("whole", {"page": Markup(escape(whole)), "name": directory.name})


def _unfinished(report: Report) -> list[Run]:
    return [run for row in report.rows for run in row.method.runs if run.status != "ok"]


def _under_way(run: Run) -> UnderWay:
    name = run.directory.path.name
    if run.status != "running":
        return UnderWay(name, run.status, run.message, None)
    steps = run.directory.read_steps()
    if not steps:
        return UnderWay(name, run.status, "has not taken a step yet", None)
    last = steps[-1]
    seconds = duration(sum(step.seconds for step in steps))
    told = f"step {last.step:,}, loss {last.loss:.3f}, {seconds} of training"
    wanted = run.recipe.training.epochs * _training_questions(run.directory)
    return UnderWay(name, run.status, told, 100 * last.examples / wanted if wanted else None)


def _training_questions(place: RunDirectory) -> int:
    """What the manifest says, such as "600 questions, sha256 ..."; 0 where it does not yet."""
    count = place.read_manifest().data.get("train", "").partition(" ")[0]
    return int(count) if count.isdigit() else 0
