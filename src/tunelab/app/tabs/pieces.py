"""What several tabs are made of."""

from __future__ import annotations

from typing import Any

import gradio as gr

Update = str | dict[str, Any]
"""A new value, or `gr.skip()`: what is there stays."""


def view(name: str, value: str = "") -> gr.HTML:
    """A place for a view that `rendering` made; `name` is its id on the page."""
    return gr.HTML(value, elem_id=name, elem_classes="tunelab", apply_default_css=False)
