"""The tab Compare: a study while it goes on, and the questions on which two runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gradio as gr

from tunelab.app.differing import Which, difference_html, tell_apart
from tunelab.app.lab import Lab
from tunelab.app.rendering import problem_html
from tunelab.app.studies import whole_report_html
from tunelab.app.tabs.pieces import RunChoices, Update, view
from tunelab.errors import TunelabError

LOOK_EVERY = 2.0
"""Seconds between two looks at whether the files of a study have changed."""


def compare_tab(lab: Lab, choices: RunChoices, tab: gr.Tab) -> None:
    """Lay the tab out."""
    studies = list(lab.catalogue.studies)
    with gr.Row(elem_classes="ends-alike"):
        study = gr.Dropdown(
            studies, value=next(iter(studies), None), label="Study", elem_id="study", scale=3
        )
        whole = gr.Button("Show the whole report", elem_id="whole")
    told = gr.State("")
    shown = view("study-view")
    report = view("report")
    timer = gr.Timer(LOOK_EVERY, active=False)
    gr.Markdown("### Where two runs differ")
    scored = lab.catalogue.scored
    with gr.Row():
        first = choices.one("First", scored, name="first")
        second = choices.one("Second", scored, name="second", chosen=_another(scored()))
    which = gr.Radio(list(get_args(Which)), value="all that differ", label="Questions")
    with gr.Row():
        differ = gr.Button("Show questions", variant="primary", elem_id="differ")
        back = gr.Button("Previous", elem_id="previous")
        on = gr.Button("Next", elem_id="following")
    number = gr.State(0)
    difference = view("difference")

    def look(name: str | None, before: str) -> tuple[Update, Update]:
        text = _study(lab, name)
        return (gr.skip(), gr.skip()) if text == before else (text, text)

    def show_whole(name: str | None) -> str:
        try:
            return whole_report_html(lab.catalogue.study(name or ""))
        except TunelabError as problem:
            return problem_html(problem)

    def show(at: int, one: str | None, other: str | None, kind: Which) -> tuple[str, int]:
        try:
            entries = lab.catalogue.entry(one or ""), lab.catalogue.entry(other or "")
            return difference_html(tell_apart(*entries), kind, at)
        except TunelabError as problem:
            return problem_html(problem), 0

    def show_first(*chosen: Any) -> tuple[str, int]:
        return show(0, *chosen)

    def show_next(at: int, *chosen: Any) -> tuple[str, int]:
        return show(at + 1, *chosen)

    def show_previous(at: int, *chosen: Any) -> tuple[str, int]:
        return show(at - 1, *chosen)

    tab.select(look, [study, told], [shown, told]).then(lambda: gr.Timer(active=True), None, timer)
    study.change(look, [study, told], [shown, told])
    timer.tick(look, [study, told], [shown, told], show_progress="hidden")
    whole.click(show_whole, study, report)
    compared = [first, second, which]
    differ.click(show_first, compared, [difference, number])
    on.click(show_next, [number, *compared], [difference, number])
    back.click(show_previous, [number, *compared], [difference, number])


def _study(lab: Lab, name: str | None) -> str:
    try:
        return lab.studies.html(lab.catalogue.study(name or ""))
    except TunelabError as problem:
        return problem_html(problem)


def _another(names: Sequence[str]) -> str | None:
    """The first run of another method than the first one's; else the second run."""
    methods = [name.partition("-seed")[0] for name in names]
    others = [name for name, method in zip(names, methods, strict=True) if method != methods[0]]
    return next(iter(others or names[1:]), None)
