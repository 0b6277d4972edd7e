"""What is wrong, or worth knowing, about texts that are put into a prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tunelab.data import Example
from tunelab.doctor.findings import Finding, listed
from tunelab.errors import DataError
from tunelab.prompts.prompter import Prompter

_INDENTED = re.compile(r"\n[ \t]{8,}\S")
"""A line that begins far to the right: the mark of a program's indentation, not of prose."""
_DOUBLED = 0.05
"""The share of questions asked twice above which a file has probably been written twice."""


def readable(
    part: str, examples: Sequence[Example], prompter: Prompter
) -> tuple[list[Example], list[Finding]]:
    """The examples that can be tokenised, and what the others have wrong."""
    sound: list[Example] = []
    broken: list[Example] = []
    told = ""
    for example in examples:
        try:
            prompter.check(example)
            sound.append(example)
        except DataError as error:
            told = told or error.problem
            broken.append(example)
    if not broken:
        return sound, []
    return sound, [
        Finding(
            name="unreadable",
            severity="error",
            found=f"{part}: {len(broken)} questions cannot be asked or learnt, the first: {told}",
            remedy="Mend or remove them.",
            ids=listed(broken),
        )
    ]


def examine_no_answer(part: str, examples: Sequence[Example], prompter: Prompter) -> list[Finding]:
    """Gold answers that say what stands for no answer."""
    word = prompter.no_answer
    same = [e for e in examples if word in (gold.strip() for gold in e.gold)]
    if not same:
        return []
    return [
        Finding(
            name="no-answer word",
            severity="error",
            found=f"{part}: {len(same)} questions have the gold answer '{word}', which stands for "
            "no answer.",
            remedy="An unanswerable question has an empty list of answers; or set "
            "prompt.no_answer to a word that no text holds.",
            ids=listed(same),
        )
    ]


def examine_control(part: str, examples: Sequence[Example], prompter: Prompter) -> list[Finding]:
    """Control tokens in contexts and questions."""
    quoting = [example for example in examples if prompter.quotes_control(example)]
    if not quoting:
        return []
    return [
        Finding(
            name="control tokens",
            severity="fact",
            found=f"{part}: {len(quoting)} questions hold the text of a control token; it is read "
            "as text and ends nothing.",
            ids=listed(quoting),
        )
    ]


def examine_indentation(part: str, examples: Sequence[Example]) -> list[Finding]:
    """Contexts whose lines are indented, as a prompt that was put together carelessly is."""
    indented = [example for example in examples if _INDENTED.search(example.context)]
    if not indented:
        return []
    return [
        Finding(
            name="indentation",
            severity="warning",
            found=f"{part}: the contexts of {len(indented)} questions have lines that begin with "
            "8 spaces or more; the model would learn from them.",
            remedy="A program's indentation may have got into the file; strip it.",
            ids=listed(indented),
        )
    ]


def examine_copies(part: str, examples: Sequence[Example]) -> list[Finding]:
    """Questions that stand several times on one paragraph, as in a file that was appended to."""
    asked = Counter((e.group, e.question.strip(), e.gold) for e in examples)
    copies = sum(count - 1 for count in asked.values())
    if copies <= _DOUBLED * len(examples):
        return []
    return [
        Finding(
            name="copies",
            severity="warning",
            found=f"{part}: {copies} of {len(examples)} questions are copies of others, with "
            "ids of their own: the file may have been written twice.",
            remedy="Remove the copies; they weigh double.",
            ids=listed(e for e in examples if asked[e.group, e.question.strip(), e.gold] > 1),
        )
    ]
