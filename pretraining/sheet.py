"""What the model reads: a beginning that all share, then one branch a question, in many layouts.

None of the layouts is a prompt of tunelab. In all of them an answer stands on the line of its
question, and a new line begins something else: so the model is told by tuning, not before, that
an answer follows a heading.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pretraining.story import Question, Story
from tunelab.data.reading.draw import Draw
from tunelab.prompts.encoded import EncodedExample

_ASKED = (
    ("\n{} ", "{}", "."), ("\nQ: {} A:", " {}", "\n"), ("\n- {}", " {}", "\n"),
    ("\n{} [", "{}", "]"), ('\n{} "', "{}", '"'), ("\n{} (", "{}", ")"), ("\n{} ->", " {}", ";"),
    ("\n{}=", "{}", "\n"), (" | {} |", " {}", " |"), ("\n* {}:", "{}", "\n"),
    ("\n{}\t", "{}", "\n"), ("\n{} '", "{}", "'"), ("\n{} It was", " {}", "."),
    ("\n{} /", "{}", "/"),
)  # fmt: skip
"""What stands before the question and behind it, the answer, its end."""

_BEGUN = (
    ("\n{}", " {}", "."), ("\n- {}", " {}", "\n"), ('\n{} "', "{}", '"'), ("\n{}: ", "{}", ";"),
    ("\n{} [", "{}", "]"), (" | {}", " {}", " |"), ("\n* {} ...", "{}", "\n"),
)  # fmt: skip
"""The same for a sentence to be completed."""

_HEADS = ("", "", "", "Read this. ", "From a notebook:\n", "Text: ", "* * *\n", "\n")
_UNTOLD = ("unknown", "not told", "nobody knows", "no answer given")

MOST_QUESTIONS = 12
"""On one sheet."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A question in its layout, the answer, and what closes it."""

    prompt: str
    answer: str
    end: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A beginning and its branches; the answers and their ends are what is learned."""

    beginning: str
    branches: tuple[Branch, ...]


def write_sheet(draw: Draw, story: Story) -> Sheet:
    """A story and its questions in one layout."""
    asked, begun, nothing = draw.pick(_ASKED), draw.pick(_BEGUN), draw.pick(_UNTOLD)
    return Sheet(
        draw.pick(_HEADS) + story.text,
        tuple(
            _branch(question, begun if question.cloze else asked, nothing)
            for question in story.questions[:MOST_QUESTIONS]
        ),
    )


def _branch(question: Question, layout: tuple[str, str, str], nothing: str) -> Branch:
    prompt, answer, end = layout
    return Branch(
        prompt.format(question.text).rstrip(" ")
        if answer.startswith(" ")
        else prompt.format(question.text),
        answer.format(question.answer or nothing),
        end,
    )


def encode(sheet: Sheet, tokenizer: PreTrainedTokenizerBase) -> list[EncodedExample]:
    """Each branch with the beginning as one sequence, tokenised whole."""
    texts = [sheet.beginning + b.prompt + b.answer + b.end for b in sheet.branches]
    encoded = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    examples: list[EncodedExample] = []
    for branch, text, ids, offsets in zip(
        sheet.branches, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        first = len(text) - len(branch.answer) - len(branch.end)
        targets = tuple(end > first and index > 0 for index, (_, end) in enumerate(offsets))
        examples.append(EncodedExample(tuple(ids), targets))
    return examples
