"""The tab Data: what a run's model sees of its data."""

from __future__ import annotations

import gradio as gr

from tunelab.app.lab import Lab
from tunelab.app.rendering import problem_html
from tunelab.app.tabs.pieces import view
from tunelab.errors import TunelabError


def data_tab(lab: Lab) -> None:
    """Lay the tab out."""
    names = [entry.name for entry in lab.catalogue.entries()]
    with gr.Row(elem_classes="ends-alike"):
        run = gr.Dropdown(
            names, value=next(iter(names), None), label="Run", elem_id="data-run", scale=3
        )
        button = gr.Button("Examine its data", variant="primary", elem_id="examine")
    shown = view("data-view")

    def look(name: str | None) -> str:
        try:
            return lab.looks.html(lab.catalogue.entry(name or ""))
        except TunelabError as problem:
            return problem_html(problem)

    button.click(look, run, shown)
