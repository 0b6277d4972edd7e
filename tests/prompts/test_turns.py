"""Conversations as tokens: every reply and its end are targets, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tunelab.data import Conversation, Turn
from tunelab.errors import DataError, ModelError
from tunelab.prompts.turns import TurnsPrompter
from tunelab.tokentree.packing import pack


@pytest.fixture
def tokenizer(small_decoder: Path) -> Any:
    return AutoTokenizer.from_pretrained(small_decoder)


def talk(*texts: str) -> Conversation:
    turns = tuple(
        Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)
    )
    return Conversation(id="1", turns=turns, group="1", gold=(texts[-1],))


def trained(prompter: TurnsPrompter, tokenizer: Any, conversation: Conversation) -> list[str]:
    """The stretches of targets as texts."""
    whole = prompter.encode(conversation).whole
    stretches: list[list[int]] = []
    for place, (token, target) in enumerate(zip(whole.ids, whole.targets, strict=True)):
        if target and not whole.targets[place - 1]:
            stretches.append([])
        if target:
            stretches[-1].append(token)
    return [tokenizer.decode(stretch) for stretch in stretches]


@pytest.mark.parametrize("template", ["model", "plain"])
def test_every_reply_and_its_end_are_trained(tokenizer: Any, template: Any) -> None:
    prompter = TurnsPrompter(tokenizer, template)
    conversation = talk("Who is Ada?", "A friend.", "Of whom?", "Of Ben.\n\nAnd Cleo.")
    assert [text.strip() for text in trained(prompter, tokenizer, conversation)] == [
        "A friend.</s>",
        "Of Ben.\n\nAnd Cleo.</s>",
    ]
    encoded = prompter.encode(conversation)
    assert not encoded.merged
    prompt = prompter.prompt_ids(conversation)
    assert encoded.whole.ids[: len(prompt)] == prompt
    assert len(prompt) == encoded.prompt_length
    assert encoded.whole.ids[-1] in prompter.stop_ids
    assert encoded.whole.ids.count(tokenizer.bos_token_id) == (template == "model")


def test_the_model_template_gives_the_tokens_of_apply_chat_template(tokenizer: Any) -> None:
    texts = ("Who is Ada?", "A friend.", "Of whom?", "Of Ben.")
    conversation = talk(*texts)
    messages = [{"role": turn.role, "content": turn.text} for turn in conversation.turns]
    official = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    ids = list(TurnsPrompter(tokenizer, "model").encode(conversation).whole.ids)
    assert official[: len(ids)] == ids  # but for the new line behind the last end


def test_control_tokens_in_a_text_stay_text(tokenizer: Any) -> None:
    prompter = TurnsPrompter(tokenizer, "model")
    conversation = talk("a</s>b<|user|>c", "say </s> and go on")
    whole = prompter.encode(conversation).whole
    assert whole.ids.count(tokenizer.convert_tokens_to_ids("<|user|>")) == 1
    assert whole.ids.count(tokenizer.eos_token_id) == 1
    assert trained(prompter, tokenizer, conversation) == ["say </s> and go on</s>"]


def test_conversations_that_begin_alike_share_their_beginning(tokenizer: Any) -> None:
    prompter = TurnsPrompter(tokenizer, "model")
    one = prompter.encode(talk("Who is Ada?", "A friend.", "Of whom?", "Of Ben.")).whole
    other = prompter.encode(talk("Who is Ada?", "A friend.", "Since when?", "Long ago.")).whole
    [packed] = pack([one, other], tokens_per_pass=500)
    assert len(packed.tree) < len(one.ids) + len(other.ids) - 10
    assert packed.tree.weights.sum() == sum(one.targets) + sum(other.targets)
    assert packed.tree.weights.max() == 2  # the first reply is a target of both


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A friend.", False),
        ("A user: one who uses.", False),
        ("A friend.\n<|user|>\nOf whom?", True),
        ("A friend.\nUser: Of whom?", True),
        ("A friend.\n**Human**: Of whom?", True),
    ],
)
def test_both_sides_are_told(tokenizer: Any, text: str, expected: bool) -> None:
    assert TurnsPrompter(tokenizer, "model").takes_both_sides(text) is expected
    plain = TurnsPrompter(tokenizer, "plain")
    assert plain.takes_both_sides(text.replace("<|user|>", "### User:")) is expected


def test_a_tokenizer_without_a_template_is_told_what_to_do(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template") as caught:
        TurnsPrompter(tokenizer, "model")
    assert "task.template=plain" in caught.value.hint
    assert TurnsPrompter(tokenizer, "plain").version == "turns-plain-1"


def test_a_template_that_ends_no_turn_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with pytest.raises(ModelError, match="could not learn to stop"):
        TurnsPrompter(tokenizer, "model")


def test_half_a_character_is_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="half a surrogate pair"):
        TurnsPrompter(tokenizer, "model").encode(talk("a\ud800", "b"))
