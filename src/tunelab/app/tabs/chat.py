"""Talking on with a decoder, below the answers of the tab Ask."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from tunelab.answering import Writing
from tunelab.app.chatting import MOST_TOKENS, Turn, about_question, conversation
from tunelab.app.lab import Lab
from tunelab.app.rendering import problem_html, text_html
from tunelab.app.tabs.ask import Asked, AskTab
from tunelab.app.tabs.pieces import RunChoices, Update, view
from tunelab.errors import TunelabError, UsageError
from tunelab.prompts.chat import Message
from tunelab.recipe import Recipe

Turns = tuple[Turn, ...]
Shown = list[dict[str, str]]


def chat(lab: Lab, choices: RunChoices, tab: AskTab) -> None:
    """Lay it out."""
    turns = gr.State(())
    with gr.Accordion("Talk on with a decoder", open=False, elem_id="talk"):
        with gr.Row():
            run = choices.one("Run", lab.catalogue.askable, name="chat-run")
            temperature = gr.Slider(0, 2, value=0, step=0.05, label="Temperature")
            longest = gr.Slider(8, MOST_TOKENS, value=128, step=8, label="Longest reply, in tokens")
        system = gr.Textbox(
            _own_system(lab, run.value),
            label="System prompt",
            lines=2,
            max_lines=8,
            elem_id="system",
        )
        about = gr.Checkbox(
            value=True, label="Begin with the question above and this run's answer to it"
        )
        problem = view("chat-problem")
        talk = gr.Chatbot(
            label="Conversation",
            height=360,
            render_markdown=False,
            allow_tags=True,
            latex_delimiters=[],
            feedback_options=None,
            buttons=["copy_all"],
            elem_id="chatbot",
        )
        message = gr.Textbox(label="Message", lines=1, max_lines=6, elem_id="message")
        with gr.Row():
            send = gr.Button("Send", variant="primary", elem_id="send")
            stop = gr.Button("Stop", elem_id="stop")
            retry = gr.Button("Retry", elem_id="retry")
            clear = gr.Button("Clear", elem_id="clear")

    def say(text: str, before: Turns) -> tuple[str, Turns, Shown]:
        after = (*before, Turn("user", text)) if text.strip() else before
        return "", after, _shown(after)

    def take_back(before: Turns) -> tuple[Turns, Shown]:
        after = before[:-1] if before and before[-1].role == "assistant" else before
        return after, _shown(after)

    def reply(
        name: str | None,
        said: Turns,
        prompt: str,
        is_about: bool,
        heat: float,
        most: int,
        asked: Asked,
        request: gr.Request,
    ) -> Iterator[tuple[Update | Turns, Update | Shown, str]]:
        try:
            if not name:
                raise UsageError("No run is chosen.", hint="Choose a decoder to talk with.")
            with lab.shelf.borrow(name) as answerer:
                opening = _opening(answerer.recipe, asked, name) if is_about else []
                messages = conversation(said, system=prompt, about=opening)
                writing = Writing(max_tokens=int(most), temperature=heat)
                visitor = str(request.session_hash)
                for text in lab.replies.stream(visitor, answerer, messages, writing):
                    heard = (*said, Turn("assistant", text))
                    yield heard, _shown(heard), ""
            yield gr.skip(), gr.skip(), ""  # what is told last is told again when this ends
        except TunelabError as error:
            yield said, _shown(said), problem_html(error)

    def halt(request: gr.Request) -> None:
        lab.replies.stop(str(request.session_hash))

    def forget(request: gr.Request) -> tuple[Turns, Shown, str]:
        halt(request)
        return (), [], ""

    def own_system(name: str | None) -> str:
        return _own_system(lab, name)

    run.change(own_system, run, system)
    heard = [turns, talk, problem]
    inputs = [run, turns, system, about, temperature, longest, tab.asked]
    for event in (send.click, message.submit):
        event(say, [message, turns], [message, turns, talk]).then(reply, inputs, heard)
    again = retry.click(halt, queue=False).then(take_back, turns, [turns, talk])
    again.then(reply, inputs, heard)
    stop.click(halt, queue=False)
    clear.click(forget, None, heard)


def _own_system(lab: Lab, name: str | None) -> str:
    """The system prompt that a run was tuned with."""
    try:
        return lab.catalogue.entry(name or "").recipe.prompt.system or ""
    except TunelabError:
        return ""


def _opening(recipe: Recipe, asked: Asked, name: str) -> list[Message]:
    """The last question as this run is asked it, if it was."""
    for told in asked.told:
        if told.name == name and told.found is not None and asked.example is not None:
            return about_question(recipe, asked.example, told.found)
    return []


def _shown(turns: Turns) -> Shown:
    return [{"role": turn.role, "content": text_html(turn.text)} for turn in turns]
