"""The plain prompt: headings, then the bare answer. It suits a model without a chat template.

Its wording is that of Lit-LLaMA-QA, so that results can be held against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.data import Example
from tunelab.prompts.frame import Frame, Piece, Quoted, Slot, fill

NO_ANSWER = "<unk>"
"""Said of an unanswerable question; written as plain text, never as the unknown token."""

_ASKED: tuple[Piece, ...] = (
    "### Context:\n",
    Slot.CONTEXT,
    "\n\n### Question:\n",
    Slot.QUESTION,
    "\n\n### Answer:\n",
)


def plain_frame(shots: Sequence[tuple[Example, str]]) -> Frame:
    """The frame, with worked examples and their answers before the question."""
    shown: list[Piece] = []
    for example, answer in shots:
        shown += [*fill(_ASKED, example), Quoted(answer), "\n\n"]
    return Frame(
        version="plain-1",
        prompt=(*shown, *_ASKED),
        opening="",
        ending="",
        closing="",
        stop_texts=("\n\n",),
    )
