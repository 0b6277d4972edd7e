"""From what was found to HTML: a template a view, everything that is put into it escaped.

Questions, paragraphs and answers are text from outside. Hidden characters in them are made visible,
and marks of Gradio's own templates (`{{`, `${`) are written as entities, so that they stay text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tunelab.errors import TunelabError
from tunelab.report.svg import STYLE as CHART_STYLE
from tunelab.report.visible import visible

_TEMPLATES = Path(__file__).with_name("template")
_MARKS = re.compile(r"[{}$]")
_DARK = "@media screen and (prefers-color-scheme: dark)"


def render(template: str, values: Mapping[str, object]) -> str:
    """A view as HTML text."""
    written = _environment().get_template(f"{template}.html").render(values)
    return _MARKS.sub(lambda found: f"&#{ord(found[0])};", written)


def problem_html(problem: TunelabError) -> str:
    """What went wrong, and what to do."""
    return render("problem", {"problem": problem})


def text_html(text: str) -> str:
    """A text as HTML that shows it as it is; Gradio's chat takes whatever it is given for HTML."""
    return str(escape(visible(text)).replace("\n", Markup("<br>")))


def style() -> str:
    """The style of all views, charts included; dark is what Gradio calls so."""
    charts = CHART_STYLE.read_text("utf-8").replace(_DARK, ".dark")
    return charts + (_TEMPLATES / "app.css").read_text("utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalised,
    )


def _finalised(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
