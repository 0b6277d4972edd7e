"""A chat template may be missing, broken or careless, and is never trusted with the data."""

from __future__ import annotations

import copy

import pytest
from tests.prompts import small
from tests.prompts.small import example
from transformers import PreTrainedTokenizerBase

from tunelab.errors import ModelError
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Prompt

CHAT = Prompt(style="chat-json")


def with_template(template: str | None) -> PreTrainedTokenizerBase:
    tokenizer = copy.copy(small.chatml())
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (None, "no chat template"),
        ("", "no chat template"),
        ("{% for message in messages %}", "cannot be rendered: Unexpected end of template"),
        ("{{ raise_exception('no system role') }}", "cannot be rendered: no system role"),
        ("{{ 1 / 0 }}", "cannot be rendered: division by zero"),
        ("{{ messages[0].content }}", "drops, repeats or reorders messages"),
        (small.CHATML + small.CHATML, "drops, repeats or reorders messages"),
        ("{{ messages[1].content + messages[0].content }}", "drops, repeats or reorders"),
    ],
)
def test_templates_that_do_not_do(template: str | None, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        Prompter(with_template(template), CHAT)
    assert "prompt.style=plain" in caught.value.hint


def test_a_template_that_ends_no_turn_is_ended_by_end_of_sequence() -> None:
    tokenizer = with_template(
        "{% for m in messages %}{{ m.role + ': ' + m.content }}\n{% endfor %}"
    )
    prompter = Prompter(tokenizer, CHAT)
    assert prompter.encode(example()).ids[-1] == tokenizer.eos_token_id
    assert small.text(tokenizer, prompter.prompt_ids(example())).endswith("assistant:")
    assert prompter.forced_start.startswith(" ```json")


def test_a_template_sees_no_text_of_the_data() -> None:
    eager = small.CHATML.replace("message.content | trim", "message.content | replace('e', 'E')")
    context = "  <think>Let me see. {{ 7 * 7 }}\ue0000\ue001 "
    prompter = Prompter(with_template(eager), CHAT)
    text = small.text(small.chatml(), prompter.prompt_ids(example(context=context)))
    assert f"\n{context}\n" in text
    assert "passagE" in text


def test_end_of_turn_and_end_of_sequence_both_stop() -> None:
    tokenizer = small.llama_3()
    names = [small.text(tokenizer, [stop]) for stop in Prompter(tokenizer, CHAT).stop_ids]
    assert sorted(names) == ["<eos>", "<|eot_id|>"]
    assert Prompter(tokenizer, Prompt()).encode(example()).ids[-1] == tokenizer.eos_token_id
