"""The tab Teach: a question, what a run answers, and what a person says is right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gradio as gr

from tunelab.app.highlighting import marked, place_of
from tunelab.app.lab import Lab
from tunelab.app.questions import held_out_paragraphs
from tunelab.app.rendering import problem_html, render
from tunelab.app.tabs.ask import Asked, AskTab
from tunelab.app.tabs.pieces import RunChoices, Update, view
from tunelab.app.teaching import Taught
from tunelab.data import Example
from tunelab.errors import TunelabError, UsageError


@dataclass(frozen=True, slots=True)
class Lesson:
    """The question that a visitor is asked about."""

    example: Example | None = None
    answer: str = ""
    """The run's."""
    passed_over: frozenset[str] = frozenset()
    """Ids of the questions that he left out."""


def teach_tab(lab: Lab, choices: RunChoices, taught: Taught, tab: AskTab, tabs: gr.Tabs) -> None:
    """Lay the tab out."""
    lesson = gr.State(Lesson())
    gr.Markdown(
        f"What is right is saved in `{taught.path.name}`, which `task.train` accepts. The question "
        "that the run is least sure of comes first."
    )
    with gr.Row(elem_classes="ends-alike"):
        run = choices.one("Run", lab.catalogue.askable, name="teach-run")
        following = gr.Button("Show a question", variant="primary", elem_id="next")
    shown = view("lesson")
    with gr.Row():
        right = gr.Button("Right", elem_id="right")
        absent = gr.Button("Not in the text", elem_id="absent")
        skip = gr.Button("Skip", elem_id="skip")
    correction = gr.Textbox(
        label="Wrong: the right answer, copied from the paragraph", elem_id="correction"
    )
    save = gr.Button("Save this answer", elem_id="save")
    outcome = view("outcome")

    def show_next(name: str | None, now: Lesson, asked: Asked) -> tuple[str, Lesson]:
        try:
            if not name:
                raise UsageError("No run is chosen.", hint="Choose the run to teach.")
            doubt = lab.unlabelled.next(
                name,
                lambda examples: lab.ask_all(name, examples),
                own=asked.own,
                passed_over=lambda every: taught.knows(every) | now.passed_over,
            )
        except TunelabError as problem:
            return problem_html(problem), replace(now, example=None)
        answer = doubt.found.prediction.answer
        told = f"{100 * doubt.uncertainty:.0f} % unsure · {doubt.left} unlabelled"
        place = place_of(doubt.found, doubt.example.context)
        values = {
            "told": told,
            "question": doubt.example.question,
            "paragraph": marked(doubt.example, [place]),
            "answer": answer,
        }
        return render("lesson", values), Lesson(doubt.example, answer, now.passed_over)

    def keep(answer: str, now: Lesson) -> tuple[str, Lesson]:
        try:
            if now.example is None:
                raise UsageError("There is no question here.", hint="Show one first.")
            tested = held_out_paragraphs(lab.catalogue.entries())
            saved = taught.teach(now.example, answer, tested=tested)
        except TunelabError as problem:
            return problem_html(problem), now
        said = render("saved", {"saved": saved, "question": now.example.question})
        return said, replace(now, example=None)

    def keep_right(now: Lesson) -> tuple[str, Lesson]:
        return keep(now.answer, now)

    def keep_absent(now: Lesson) -> tuple[str, Lesson]:
        return keep("", now)

    def keep_typed(answer: str, now: Lesson) -> tuple[str, Lesson]:
        if not answer.strip():
            problem = UsageError(
                "No answer is typed.", hint='Type one, or press "Not in the text".'
            )
            return problem_html(problem), now
        return keep(answer, now)

    def go_on(name: str | None, now: Lesson, asked: Asked) -> tuple[Update, Lesson, Update]:
        """The next question behind one that was saved."""
        if now.example is not None:
            return gr.skip(), now, gr.skip()
        return (*show_next(name, now, asked), "")

    def pass_over(now: Lesson) -> Lesson:
        gone = {now.example.id} if now.example is not None else set()
        return replace(now, passed_over=now.passed_over | gone)

    def take_over(asked: Asked, now: Lesson) -> tuple[str, Lesson, gr.Tabs]:
        first = next((told for told in asked.told if told.found is not None), None)
        if first is None or first.found is None or asked.example is None:
            problem = UsageError("Nothing was answered yet.", hint="Ask a question first.")
            return problem_html(problem), now, gr.Tabs(selected="teach")
        plain = replace(asked.example, answers=())
        values = {
            "told": f"{first.name} answered",
            "question": plain.question,
            "paragraph": marked(plain, [place_of(first.found, plain.context)]),
            "answer": first.found.prediction.answer,
        }
        after = Lesson(plain, first.found.prediction.answer, now.passed_over)
        return render("lesson", values), after, gr.Tabs(selected="teach")

    look = [run, lesson, tab.asked]
    following.click(show_next, look, [shown, lesson])
    skip.click(pass_over, lesson, lesson).then(show_next, look, [shown, lesson])
    for kept in (
        right.click(keep_right, lesson, [outcome, lesson]),
        absent.click(keep_absent, lesson, [outcome, lesson]),
        save.click(keep_typed, [correction, lesson], [outcome, lesson]),
    ):
        kept.then(go_on, look, [shown, lesson, correction])
    tab.teach.click(take_over, [tab.asked, lesson], [shown, lesson, tabs])
