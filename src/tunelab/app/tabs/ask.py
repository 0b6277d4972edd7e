"""The tab Ask: a paragraph, a question, and what the chosen runs answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import gradio as gr

from tunelab.app.answers import answers_html
from tunelab.app.asking import Told, Way, ask, own_example
from tunelab.app.lab import Lab
from tunelab.app.questions import random_question
from tunelab.app.rendering import problem_html
from tunelab.app.tabs.pieces import RunChoices, Update, view
from tunelab.data import Example
from tunelab.errors import TunelabError, UsageError

_KEPT = 100
"""Own questions of a visitor that he can label later."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor asked last, and what he drew."""

    example: Example | None = None
    told: tuple[Told, ...] = ()
    drawn: Example | None = None
    """A test question, whose gold answers are known."""
    own: tuple[Example, ...] = ()
    """His own questions, the newest last."""


@dataclass(frozen=True, slots=True)
class AskTab:
    """What the other tabs need of this one."""

    asked: gr.State
    teach: gr.Button


def ask_tab(lab: Lab, choices: RunChoices) -> AskTab:
    """Lay the tab out."""
    asked = gr.State(Asked())
    runs = choices.several(
        "Runs", lab.catalogue.askable, name="ask-runs", info="Several answer side by side."
    )
    paragraph = gr.Textbox(label="Paragraph", lines=7, max_lines=16, elem_id="paragraph")
    question = gr.Textbox(label="Question", lines=1, max_lines=4, elem_id="question")
    with gr.Row():
        button = gr.Button("Ask", variant="primary", elem_id="ask")
        draw = gr.Button("Random test question", elem_id="draw")
        teach = gr.Button("Correct this answer", visible=lab.taught is not None, elem_id="to-teach")
    with gr.Accordion("How a decoder writes its answer", open=False):
        way = gr.Radio(
            list(get_args(Way)),
            value="as the run does",
            label="Decoding",
            info="Encoders point at a passage in any case.",
            elem_id="way",
        )
    results = view("results")

    def answer(
        chosen: list[str], text: str, asks: str, how: Way, before: Asked
    ) -> tuple[str, Asked]:
        drawn = before.drawn
        is_drawn = drawn is not None and (drawn.context, drawn.question) == (text, asks)
        try:
            example = drawn if drawn is not None and is_drawn else own_example(text, asks)
            told = ask(lab.catalogue, lab.shelf, chosen, example, how)
        except TunelabError as problem:
            return problem_html(problem), before
        kept = before.own if is_drawn else (*before.own, example)[-_KEPT:]
        after = Asked(example, tuple(told), drawn, kept)
        return answers_html(example, told, gold_known=is_drawn), after

    def draw_question(
        chosen: list[str], how: Way, before: Asked
    ) -> Iterator[tuple[Update, Update, str, Asked]]:
        """Shown at once and answered then, by one event: nothing can come between the two."""
        try:
            if not chosen:
                raise UsageError("No run is chosen.", hint="Choose one whose test to draw from.")
            drawn = random_question(lab.catalogue.entry(chosen[0]), random.Random())
        except TunelabError as problem:
            yield gr.skip(), gr.skip(), problem_html(problem), before
            return
        shown = Asked(None, (), drawn, before.own)
        yield drawn.context, drawn.question, "", shown
        said, after = answer(chosen, drawn.context, drawn.question, how, shown)
        yield gr.skip(), gr.skip(), said, after

    inputs = [runs, paragraph, question, way, asked]
    for event in (button.click, question.submit):
        event(answer, inputs, [results, asked])
    draw.click(draw_question, [runs, way, asked], [paragraph, question, results, asked])
    return AskTab(asked, teach)
