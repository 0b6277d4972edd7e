"""The tab Data: what a run's model sees of its data."""

from __future__ import annotations

import gradio as gr

from tunelab.app.lab import Lab
from tunelab.app.rendering import problem_html
from tunelab.app.tabs.pieces import RunChoices, view
from tunelab.errors import TunelabError


def data_tab(lab: Lab, choices: RunChoices) -> None:
    """Lay the tab out."""
    with gr.Row(elem_classes="ends-alike"):
        run = choices.one("Run", lab.catalogue.names, name="data-run")
        button = gr.Button("Examine its data", variant="primary", elem_id="examine")
    shown = view("data-view")

    def look(name: str | None) -> str:
        try:
            return lab.looks.html(lab.catalogue.entry(name or ""))
        except TunelabError as problem:
            return problem_html(problem)

    button.click(look, run, shown)
