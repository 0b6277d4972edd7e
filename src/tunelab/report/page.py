"""report.html: the whole answer on one page that needs no network and no script.

The template says how it looks; here is what it shows. Everything that is put into it is escaped,
and hidden characters are made visible on the way: model output is untrusted text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tunelab import __version__
from tunelab.report.advice import axes, decisive_field
from tunelab.report.beside import BESIDE_MEANING, beside_table, curves
from tunelab.report.charts import axis_chart, cost_chart, loss_chart, risk_chart
from tunelab.report.comparing import spoken_names
from tunelab.report.precisions import (
    PRECISIONS_MEANING,
    precision_cells,
    precision_sentences,
)
from tunelab.report.questions import Questions, read_questions
from tunelab.report.reasons import reason_lines, reasons_meaning
from tunelab.report.recommendation import COSTS, Field
from tunelab.report.report import Report
from tunelab.report.study import Method
from tunelab.report.telling import COMMAND, meaning
from tunelab.report.views import (
    RunView,
    answer_views,
    circumstance_view,
    loss_curves,
    proof_views,
    run_headings,
    run_views,
    score_table,
    slice_tables,
)
from tunelab.report.visible import visible

_TEMPLATE = Path(__file__).with_name("template")

_MOST_METHODS = 6
"""So many are told apart question by question: the best ones."""


def page(report: Report) -> str:
    """The page of a report, as HTML text."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalised,
    )
    colours = colours_of(report)
    finished = [run for row in report.rows for run in row.method.finished]
    runs = run_views(report)
    field, _ = decisive_field(report.study, report.rows, report.comparisons)
    compared, questions = _looked_at(report, field)
    primary = next(iter(spoken_names(report.study.methods)), "")
    return environment.get_template("page.html").render(
        styles=[
            Markup((_TEMPLATE / name).read_text("utf-8")) for name in ("page.css", "chart.css")
        ],
        report=report,
        name=report.study.name,
        facts=_facts(report),
        advice=[(each, _behind(runs, each.runs)) for each in report.advice],
        table=score_table(report, colours),
        cost_charts=[
            cost_chart(field, name, colours)
            for name in COSTS
            if any(option.costs[name] for option in field.options)
        ],
        axis_charts=[
            axis_chart(field, axis, f"axis-{number}")
            for number, axis in enumerate(axes(report.study))
        ],
        loss_chart=loss_chart(losses, colours) if (losses := loss_curves(report)) else "",
        risk_chart=risk_chart(drawn, colours) if (drawn := curves(report.study.methods)) else "",
        beside=beside_table(report.study.methods),
        beside_meaning=BESIDE_MEANING,
        precisions=precision_cells(report.study),
        precision_sentences=precision_sentences(report.study),
        precisions_meaning=PRECISIONS_MEANING,
        slices=slice_tables(compared, primary, questions, colours) if compared else [],
        answers=answer_views(compared, primary, questions, colours) if compared else {},
        compared=compared,
        reasons=reason_lines(report.study.methods),
        reasons_meaning=reasons_meaning(report.study.methods),
        questions=questions,
        runs=runs,
        run_headings=run_headings(report),
        proofs=proof_views(report),
        meaning=meaning(report.study, finished) if finished else [],
        circumstances=circumstance_view(report),
        command=COMMAND,
        version=__version__,
    )


def colours_of(report: Report) -> dict[str, int]:
    """Label -> number of its colour, in the order of the table."""
    return {row.method.label: number for number, row in enumerate(report.rows)}


def _looked_at(report: Report, field: Field) -> tuple[list[Method], Questions]:
    """The best methods, and the texts of the questions that they answered."""
    methods = {method.label: method for method in report.study.methods}
    compared = [methods[option.label] for option in field.options[:_MOST_METHODS]]
    if not compared or compared[0].items is None:
        return [], Questions({})
    return compared, read_questions(compared[0].finished[0].recipe.task, compared[0].items)


def _facts(report: Report) -> list[str]:
    """What the study is about, in a few words each."""
    methods = report.study.methods
    finished = [run for method in methods for run in method.finished]
    asked = sum(len(method.runs) + len(method.missing_seeds) for method in methods)
    facts = [
        _counted(len(methods), "method"),
        f"{len(finished)} of {_counted(asked, 'run')} finished",
    ]
    for run in {run.items: run for run in finished}.values():
        if run.items is not None and run.measured is not None:
            groups = _counted(len(set(run.items.groups)), run.measured.units.group)
            facts.append(f"tested on {_counted(len(run.items.ids), 'item')} of {groups}")
    models = dict.fromkeys(Path(run.recipe.model.called).name for run in finished)
    return [*facts, *([f"model {', '.join(models)}"] if models else [])]


def _behind(runs: Sequence[RunView], names: Sequence[str]) -> list[tuple[str, list[RunView]]]:
    """The runs behind a sentence, by method."""
    found: dict[str, list[RunView]] = {}
    for run in runs:
        if run.name in names:
            found.setdefault(run.label, []).append(run)
    return list(found.items())


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _finalised(value: object) -> object:
    """What is about to be written: text with its hidden characters made visible."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
