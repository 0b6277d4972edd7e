"""What the model reads: a beginning that all share, then one branch a question, in many layouts.

None of the layouts is a prompt of tunelab. In all of them an answer stands on the line of its
question, and a new line begins something else: so the model is told by tuning, not before, that
an answer follows a heading.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pretraining.looking import Look, look
from pretraining.story import Hint, Question, Story, Stretch
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
    hint: Hint | None = None
    """All its stretches count from the beginning of the sheet."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A beginning and its branches; the answers and their ends are what is learned."""

    beginning: str
    branches: tuple[Branch, ...]


def write_sheet(draw: Draw, story: Story) -> Sheet:
    """A story and its questions in one layout."""
    asked, begun, nothing = draw.pick(_ASKED), draw.pick(_BEGUN), draw.pick(_UNTOLD)
    head = draw.pick(_HEADS)
    beginning = head + story.text
    return Sheet(
        beginning,
        tuple(
            _branch(
                question,
                begun if question.cloze else asked,
                nothing,
                paragraph=len(head),
                branch=len(beginning),
            )
            for question in story.questions[:MOST_QUESTIONS]
        ),
    )


def _branch(
    question: Question, layout: tuple[str, str, str], nothing: str, *, paragraph: int, branch: int
) -> Branch:
    """A branch; `paragraph` and `branch` are where the paragraph and the branch begin."""
    prompt, answer, end = layout
    asked = prompt.format(question.text)
    hint = question.hint
    if hint is not None:
        put = branch + prompt.index("{}")
        hint = Hint(
            asked=_moved(hint.asked, put),
            answer=_moved(hint.answer, paragraph),
            found=None if hint.found is None else _moved(hint.found, paragraph),
            names=tuple(
                (_moved(value, paragraph), _moved(name, paragraph)) for value, name in hint.names
            ),
        )
    return Branch(
        asked.rstrip(" ") if answer.startswith(" ") else asked,
        answer.format(question.answer or nothing),
        end,
        hint,
    )


def _moved(stretch: Stretch, by: int) -> Stretch:
    return stretch[0] + by, stretch[1] + by


def encode(
    sheet: Sheet, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[EncodedExample, tuple[Look, ...]]]:
    """Each branch with the beginning as one sequence, tokenised whole; what it should look at."""
    texts = [sheet.beginning + b.prompt + b.answer + b.end for b in sheet.branches]
    encoded = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    made: list[tuple[EncodedExample, tuple[Look, ...]]] = []
    for branch, text, ids, offsets in zip(
        sheet.branches, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        end = len(text) - len(branch.end)
        first = end - len(branch.answer)
        targets = tuple(last > first and index > 0 for index, (_, last) in enumerate(offsets))
        looks = () if branch.hint is None else look(branch.hint, offsets, (first, end))
        made.append((EncodedExample(tuple(ids), targets), looks))
    return made
