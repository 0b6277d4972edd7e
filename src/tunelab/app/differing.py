"""The questions on which two runs differ, from their predictions alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tunelab.app.catalogue import Entry
from tunelab.app.highlighting import Piece, find_passage, marked
from tunelab.app.rendering import render
from tunelab.data import Example, text_hash
from tunelab.errors import UsageError
from tunelab.records import RunDirectory
from tunelab.report.questions import Questions, read_questions
from tunelab.report.study import Run, read_run

Which = Literal["all that differ", "first better", "second better", "both wrong"]


@dataclass(frozen=True, slots=True)
class Apart:
    """Two runs on the same items, and the items on which they differ."""

    first: Run
    second: Run
    metric: str
    """The spoken name of the primary metric, which decides what is better."""
    indices: dict[Which, tuple[int, ...]]
    """Of items, drawn by hash and not by taste."""
    questions: Questions


def tell_apart(first: Entry, second: Entry) -> Apart:
    """Compare two finished runs item by item.

    Raises:
        UsageError: they are the same run, one is not finished, or they were scored on other items.
        RecordError: files are damaged.
    """
    if first.name == second.name:
        raise UsageError("These are the same run.", hint="Choose two.")
    one, other = _read(first), _read(second)
    items = one.items
    assert items is not None and other.items is not None
    assert one.measured is not None and other.measured is not None
    if items != other.items:
        raise UsageError(
            f"The runs were scored on other items: {items.against(other.items)}.",
            hint="Choose two runs of one study.",
        )
    metric = one.measured.headline[0]
    better = one.measured.metrics[metric].values - other.measured.metrics[metric].values
    best = one.measured.metrics[metric].values.clip(min=other.measured.metrics[metric].values)
    order = sorted(range(len(items.ids)), key=lambda index: text_hash(items.ids[index]))
    said = [a != b for a, b in zip(one.answers, other.answers, strict=True)]
    return Apart(
        one,
        other,
        one.measured.metrics[metric].spoken,
        {
            "all that differ": tuple(i for i in order if said[i]),
            "first better": tuple(i for i in order if better[i] > 0),
            "second better": tuple(i for i in order if better[i] < 0),
            "both wrong": tuple(i for i in order if best[i] <= 0),
        },
        read_questions(one.recipe.task, items),
    )


@dataclass(frozen=True, slots=True)
class Side:
    """What one run said to a question."""

    name: str
    answer: str
    score: float
    """In percent."""
    paragraph: list[Piece]
    """Empty where the text is not here."""


def difference_html(apart: Apart, which: Which, at: int) -> tuple[str, int]:
    """One of the questions on which two runs differ, and its number; after the last, the first.

    Raises:
        UsageError: there is none of this kind.
    """
    indices = apart.indices[which]
    if not indices:
        raise UsageError(
            f"There is no such question: the runs do not differ in this way ({which}).",
            hint="Choose other questions.",
        )
    number = at % len(indices)
    index = indices[number]
    items = apart.first.items
    assert items is not None
    example = apart.questions.texts.get(items.ids[index])
    values = {
        "number": number + 1,
        "count": len(indices),
        "id": items.ids[index],
        "article": example.article if example else "",
        "question": example.question if example else "",
        "gold": tuple(dict.fromkeys(items.gold[index])),
        "metric": apart.metric,
        "sides": [_side(run, index, example) for run in (apart.first, apart.second)],
        "missing": "" if example else apart.questions.missing,
    }
    return render("difference", values), number


def _side(run: Run, index: int, example: Example | None) -> Side:
    assert run.measured is not None
    answer = run.answers[index]
    score = float(run.measured.metrics[run.measured.headline[0]].values[index])
    place = find_passage(example.context, answer) if example and answer else None
    paragraph = marked(example, [place]) if example else []
    return Side(run.directory.path.name, answer, score, paragraph)


@lru_cache(maxsize=8)
def _read_as_of(place: RunDirectory, _changed: int) -> Run:
    return read_run(place)


def _read(entry: Entry) -> Run:
    """A finished run, kept until its manifest changes."""
    if entry.run is None:
        raise UsageError(f"'{entry.name}' is a checkpoint: it has no predictions.")
    run = _read_as_of(entry.run, entry.run.manifest.stat().st_mtime_ns)
    if run.status != "ok":
        raise UsageError(f"The run '{entry.name}' did not finish: its status is {run.status}.")
    return run
