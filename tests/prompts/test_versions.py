"""A wording belongs to its version, and the page shows it as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.prompts import small
from tests.prompts.small import example

from tunelab.prompts.prompter import Prompter
from tunelab.prompts.reference import reference
from tunelab.recipe import Prompt

PINNED = {
    "plain-1": "04a07fea812bac45",
    "chat-json-1": "36895040f56df59a",
    "chat-json-multi-1": "375fa3852673c86f",
}
"""Of each version the digest of its text. A new wording needs a new version: do not correct a
digest, raise the version and add a line."""


@pytest.mark.parametrize(
    "style",
    [Prompt(), Prompt(style="chat-json"), Prompt(style="chat-json", turns="multi")],
)
def test_a_wording_belongs_to_its_version(style: Prompt) -> None:
    tokenizer = small.chatml()
    shots = [example("Who led?", "Rollo led.", ["Rollo"])]
    prompter = Prompter(tokenizer, style, shots)
    text = "".join(
        small.text(tokenizer, prompter.encode(asked).ids)
        for asked in (example(), example(answers=()))
    )
    text += repr(prompter.stop_texts)
    found = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert found == PINNED[prompter.version], f"the text of {prompter.version} has changed"


def test_the_page_shows_the_wordings() -> None:
    page = Path(__file__).parents[2] / "docs" / "prompts.md"
    remake = "python -m tunelab.prompts.reference > docs/prompts.md"
    assert page.read_text() == reference(), f"run: {remake}"
