"""What several tabs are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

Update = str | dict[str, Any]
"""A new value, or `gr.skip()`: what is there stays."""
Names = Callable[[], list[str]]


def view(name: str, value: str = "") -> gr.HTML:
    """A place for a view that `rendering` made; `name` is its id on the page."""
    return gr.HTML(value, elem_id=name, elem_classes="tunelab", apply_default_css=False)


class RunChoices:
    """Lists of runs to choose from, looked for anew whenever somebody opens the page."""

    def __init__(self) -> None:
        self._lists: list[tuple[gr.Dropdown, Names]] = []

    def one(self, label: str, names: Names, *, name: str, chosen: str | None = None) -> gr.Dropdown:
        """One of the runs; `name` is its id on the page."""
        there = names()
        value = chosen if chosen is not None else next(iter(there), None)
        return self._kept(
            gr.Dropdown(there, value=value, label=label, elem_id=name, scale=3), names
        )

    def several(self, label: str, names: Names, *, name: str, info: str) -> gr.Dropdown:
        """Any of the runs; the first one is chosen."""
        there = names()
        made = gr.Dropdown(
            there, value=there[:1], multiselect=True, label=label, info=info, elem_id=name
        )
        return self._kept(made, names)

    def look_again_on(self, page: gr.Blocks) -> None:
        """Bring the lists up to date when the page is opened."""

        def look() -> list[gr.Dropdown]:
            return [gr.Dropdown(names()) for _, names in self._lists]

        page.load(look, None, [dropdown for dropdown, _ in self._lists], show_progress="hidden")

    def _kept(self, dropdown: gr.Dropdown, names: Names) -> gr.Dropdown:
        self._lists.append((dropdown, names))
        return dropdown
