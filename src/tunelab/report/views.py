"""What the page shows, piece by piece, as plain values for its template."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from markupsafe import Markup

from tunelab.report.charts import Colours, LossCurve, Mark, strip
from tunelab.report.comparing import spoken_names
from tunelab.report.figures import count, duration, rate, scored, spread
from tunelab.report.questions import Questions
from tunelab.report.report import Report
from tunelab.report.scales import score_scale
from tunelab.report.slices import Slice, sample, slices
from tunelab.report.study import Method, Run
from tunelab.report.svg import colour
from tunelab.report.table import cells
from tunelab.statistics import Interval

_LOSS_POINTS = 40
_OF_EACH_KIND = 2
_MOST_QUESTIONS = 24
_WINDOW = 1200
"""Characters of a paragraph shown on either side of the answer."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run's line, and where on the page it stands."""

    anchor: str
    name: str
    label: str
    seed: int
    status: str
    message: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """Headings, and a line a method: its name, colour, picture and cells."""

    pictured: str
    """What the pictures show, and from where to where."""
    headings: tuple[str, ...]
    lines: tuple[tuple[str, str, Markup, tuple[tuple[str, str], ...]], ...]
    more: tuple[str, ...]
    """Headings of the metrics that no verdict speaks of."""
    more_lines: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A question with its paragraph, its gold answers, and what each method said."""

    article: str
    question: str
    context: tuple[tuple[str, bool], ...]
    """Pieces of the paragraph; whether each is a gold answer."""
    gold: tuple[str, ...]
    said: tuple[tuple[str, str, tuple[tuple[str, int], ...], float], ...]
    """Method, its colour, its answers with the number of seeds that gave them, its score."""


def run_headings(report: Report) -> list[str]:
    """Of the figures of `run_views`."""
    spoken = list(spoken_names(report.study.methods).values())[:2]
    return [*spoken, "learning rate", "loss, first", "loss, last", "tokens/s", "training time"]


def run_views(report: Report) -> list[RunView]:
    """All runs of the table, finished or not."""
    views: list[RunView] = []
    names = list(spoken_names(report.study.methods))[:2]
    for run in (run for row in report.rows for run in row.method.runs):
        cost = run.manifest.cost
        scores = [
            f"{metric.values[metric.about].mean():.2f}" if metric else "-"
            for metric in (run.measured and run.measured.metrics.get(name) for name in names)
        ]
        rates = [] if run.damage else [run.recipe.training.learning_rate]
        spent = (
            spread(rates if run.manifest.loss_first is not None else [], rate),
            spread([run.manifest.loss_first], "{:.2f}".format),
            spread([run.manifest.loss_last], "{:.2f}".format),
            spread([cost and cost.tokens_per_second], count),
            spread([cost and cost.seconds_training], duration),
        )
        views.append(
            RunView(
                f"run-{len(views) + 1}",
                run.directory.path.name,
                run.manifest.label,
                run.recipe.seed,
                run.status,
                run.message,
                (*scores, *spent),
            )
        )
    return views


def score_table(report: Report, colours: Colours) -> TableView:
    """The table: what decides first, then cost; a cell is a figure and what stands behind it."""
    metrics = spoken_names(report.study.methods)
    primary = next(iter(metrics), "")
    first = [spoken for spoken in metrics.values() if spoken in report.headline]
    more = [spoken for spoken in metrics.values() if spoken not in first]
    texts = [cells(row, metrics) for row in report.rows]
    spent = ["training time", "peak memory", "saved", "trained parameters", "price"]
    headings = ["runs", *first, *(n for n in spent if any(text[n] != "-" for text in texts))]
    known = [row.intervals[primary] for row in report.rows if primary in row.intervals]
    scale = score_scale(_ends(known), 0, 1) if known else None
    labels = [(row.method.label, colour(colours[row.method.label])) for row in report.rows]
    pictures = [
        _strip([(row.intervals[primary], colours[row.method.label])], scale.low, scale.high)
        if scale and primary in row.intervals
        else Markup()
        for row in report.rows
    ]
    return TableView(
        f"{metrics[primary]}, {scale.low:.0f} to {scale.high:.0f}" if scale else "",
        tuple(headings),
        tuple(
            (*label, picture, tuple(_split(text[name]) for name in headings))
            for label, picture, text in zip(labels, pictures, texts, strict=True)
        ),
        tuple(more),
        tuple(
            (*label, tuple(_split(text[name]) for name in more))
            for label, text in zip(labels, texts, strict=True)
        ),
    )


def slice_tables(
    methods: Sequence[Method], metric: str, questions: Questions, colours: Colours
) -> list[tuple[str, list[tuple[str, str]], list[tuple[Slice, Markup, list[str]]]]]:
    """What the items are divided by, the methods, and a line a slice with its picture."""
    texts = {key: example.question for key, example in questions.texts.items()}
    found = slices(methods, metric, texts)
    tables: list[tuple[str, list[tuple[str, str]], list[tuple[Slice, Markup, list[str]]]]] = []
    names = [method.label for method in methods]
    if not found:
        return tables
    scale = score_scale(_ends([i for part in found for i in part.scores.values()]), 0, 1)
    for about in dict.fromkeys(part.about for part in found):
        lines = [
            (
                part,
                _strip(
                    [(part.scores[name], colours[name]) for name in names], scale.low, scale.high
                ),
                [_interval(part.scores[name]) for name in names],
            )
            for part in found
            if part.about == about
        ]
        headings = [(name, colour(colours[name])) for name in names]
        tables.append((about, headings, lines))
    return tables


def answer_views(
    methods: Sequence[Method], metric: str, questions: Questions, colours: Colours
) -> dict[str, list[AnswerView]]:
    """Why they were sampled -> the questions whose texts are here."""
    items = methods[0].items
    if items is None or not questions.texts:
        return {}
    views: dict[str, list[AnswerView]] = {}
    for picked in sample(methods, metric, each=_OF_EACH_KIND, most=_MOST_QUESTIONS):
        example = questions.texts.get(items.ids[picked.index])
        if example is None:
            continue
        gold = tuple(dict.fromkeys(example.gold))
        starts = {answer.start: answer.text for answer in example.answers}
        said = tuple(
            (
                method.label,
                colour(colours[method.label]),
                tuple(Counter(run.answers[picked.index] for run in method.finished).most_common()),
                float(method.scores(metric)[1][:, picked.index].mean()),
            )
            for method in methods
        )
        context = _context(example.context, starts)
        views.setdefault(picked.reason, []).append(
            AnswerView(example.article, example.question, context, gold, said)
        )
    return views


def loss_curves(report: Report, *, running: bool = False) -> list[LossCurve]:
    """The loss of every run that ended over its training time, as means of neighbouring steps.

    Args:
        report: of the study.
        running: also of the runs that go on.
    """
    shown = ("ok", "diverged", "running") if running else ("ok", "diverged")
    curves: list[LossCurve] = []
    for run in (run for row in report.rows for run in row.method.runs):
        if run.status not in shown:
            continue
        steps = [step for step in run.directory.read_steps() if math.isfinite(step.loss)]
        if len(steps) < 2:
            continue
        seconds = np.cumsum([step.seconds for step in steps])
        weights = np.array([step.target_tokens for step in steps], dtype=float)
        parts = np.array_split(np.arange(len(steps)), min(_LOSS_POINTS, len(steps)))
        losses = np.array([step.loss for step in steps])
        curves.append(
            LossCurve(
                run.manifest.label,
                [float(seconds[part[-1]]) for part in parts],
                [float(np.average(losses[part], weights=weights[part])) for part in parts],
            )
        )
    return curves


def proof_views(report: Report) -> list[tuple[str, int, int, list[tuple[str, str, str, bool]]]]:
    """Method, proofs held, proofs made, and each of them: run, name, what was seen, held."""
    views: list[tuple[str, int, int, list[tuple[str, str, str, bool]]]] = []
    for row in report.rows:
        made = [
            (
                run.directory.path.name,
                proof.name,
                proof.found if proof.held else f"{proof.found} {proof.remedy}",
                proof.held,
            )
            for run in row.method.runs
            for proof in run.manifest.proofs
        ]
        if made:
            views.append((row.method.label, sum(line[3] for line in made), len(made), made))
    return views


def circumstance_view(report: Report) -> dict[str, list[str]]:
    """What to install and to have for doing it again: packages, hardware, data, the recipe."""
    runs: list[Run] = [run for row in report.rows for run in row.method.finished]
    versions = [dict(run.manifest.versions) for run in runs]
    packages = dict.fromkeys(
        " ".join(
            f"{name}=={version.partition('+')[0]}"
            for name, version in each.items()
            if name not in ("python", "tunelab")
        )
        for each in versions
    )
    made_with = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in each.items()) for each in versions
    )
    hardware = dict.fromkeys(
        ", ".join([*run.manifest.hardware.values(), f"{run.manifest.threads} threads"])
        for run in runs
    )
    data = dict.fromkeys(
        f"{part}: {told}" for run in runs for part, told in run.manifest.data.items()
    )
    models = dict.fromkeys(
        f"{run.recipe.model.called}: "
        + ", ".join(f"{k} {v}" for k, v in run.manifest.model.items())
        for run in runs
    )
    recipe = report.study.directory / "recipe.yaml"
    content = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.exists() else {}
    return {
        "packages": [each for each in packages if each],
        "versions": list(made_with),
        "hardware": list(hardware),
        "data": list(data),
        "models": list(models),
        "recipe": [yaml.safe_dump(content, sort_keys=False, allow_unicode=True)],
    }


def _context(text: str, answers: dict[int, str]) -> tuple[tuple[str, bool], ...]:
    """The paragraph in pieces, the gold answers apart; a long one cut around the first answer."""
    first = min(answers, default=0)
    begin, end = max(0, first - _WINDOW), min(len(text), first + _WINDOW)
    pieces: list[tuple[str, bool]] = [("…", False)] if begin else []
    at = begin
    for start, answer in sorted(answers.items()):
        if start < at or start + len(answer) > end:
            continue
        pieces += [(text[at:start], False), (answer, True)]
        at = start + len(answer)
    pieces.append((text[at:end] + ("…" if end < len(text) else ""), False))
    return tuple(piece for piece in pieces if piece[0])


def _strip(values: Sequence[tuple[Interval, int]], low: float, high: float) -> Markup:
    return strip([Mark(i.value, i.low, i.high, number) for i, number in values], low, high)


def _ends(intervals: Sequence[Interval]) -> list[float]:
    return [e for i in intervals for e in (i.value, i.low, i.high) if e is not None]


def _interval(interval: Interval) -> str:
    return scored(interval.value, *(e for e in (interval.low, interval.high) if e is not None))


def _split(text: str) -> tuple[str, str]:
    """A figure, and the interval, range or remark behind it."""
    for mark in (" [", " ("):
        figure, found, rest = text.partition(mark)
        if found:
            return figure, found.strip() + rest
    return text, ""
