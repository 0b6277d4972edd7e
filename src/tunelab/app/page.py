"""The page: up to four tabs in one style, with nothing from the network."""

from __future__ import annotations

import gradio as gr
from gradio.themes import Default, Font
from gradio.themes.base import Base

from tunelab.app.lab import Lab
from tunelab.app.tabs.ask import ask_tab
from tunelab.app.tabs.chat import chat
from tunelab.app.tabs.compare import compare_tab
from tunelab.app.tabs.data import data_tab
from tunelab.app.tabs.pieces import RunChoices
from tunelab.app.tabs.teach import teach_tab

MOST_AT_ONCE = 32
"""Visitors who are answered at once; the others wait."""
_TEXT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_CODE = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def make_page(lab: Lab) -> gr.Blocks:
    """The page of a lab."""
    with gr.Blocks(title="tunelab", analytics_enabled=False, fill_width=False) as page:
        gr.Markdown("# tunelab")
        choices = RunChoices()
        with gr.Tabs() as tabs:
            with gr.Tab("Ask", id="ask"):
                asking = ask_tab(lab, choices)
                chat(lab, choices, asking)
            if lab.taught is not None:
                with gr.Tab("Teach", id="teach"):
                    teach_tab(lab, choices, lab.taught, asking, tabs)
            if lab.catalogue.studies:
                with gr.Tab("Compare", id="compare") as comparing:
                    compare_tab(lab, choices, comparing)
            with gr.Tab("Data", id="data"):
                data_tab(lab, choices)

        def leave(request: gr.Request) -> None:
            lab.replies.stop(str(request.session_hash))

        page.unload(leave)
        choices.look_again_on(page)
    page.queue(default_concurrency_limit=MOST_AT_ONCE, api_open=False)
    return page


def theme() -> Base:
    """Fonts of the visitor's own system: nothing is fetched."""
    return Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=list(map(Font, _TEXT)),
        font_mono=list(map(Font, _CODE)),
    )
