"""Text that knows what stands where, so that no offset is ever searched for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunelab.data.reading.kinds import Template
from tunelab.data.reading.scene import Slot


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, and what it is: the value of a slot, a rumour about it, an entity's full name."""

    text: str
    told: Slot | None = None
    rumour: Slot | None = None
    name: int | None = None


Pieces = list[Piece]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the paragraph; `start` counts Unicode characters."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph, where its values and rumours stand, and where entities have their full name."""

    context: str
    told: Mapping[Slot, Span]
    rumours: Mapping[Slot, Span]
    names: Mapping[int, Sequence[Span]]

    def name_of(self, entity: int, *, near: Span) -> Span:
        """The entity's last full name up to the end of the sentence in which `near` stands."""
        end = self.context.index(".", near.start)
        return [span for span in self.names[entity] if span.start < end][-1]


def fill(template: Template, words: Mapping[str, Callable[[], Pieces]]) -> Pieces:
    """Put words into the slots of a template, from left to right."""
    pieces: Pieces = []
    for text, slot in zip(template[::2], (*template[1::2], None), strict=True):
        if text:
            pieces.append(Piece(text))
        if slot is not None:
            pieces += words[slot]()
    return pieces


def plain(pieces: Pieces, *, end: str) -> str:
    """The text of a sentence, begun with a capital letter and closed with `end`."""
    text = "".join(piece.text for piece in pieces)
    return text[0].upper() + text[1:] + end


def assemble(sentences: Sequence[Pieces]) -> Passage:
    """Join sentences to a paragraph and note where everything stands."""
    context = " ".join(plain(pieces, end=".") for pieces in sentences)
    told: dict[Slot, Span] = {}
    rumours: dict[Slot, Span] = {}
    names: dict[int, list[Span]] = {}
    start = 0
    for pieces in sentences:
        for piece in pieces:
            end = start + len(piece.text)
            span = Span(context[start:end], start)
            if piece.told is not None:
                told[piece.told] = span
            if piece.rumour is not None:
                rumours[piece.rumour] = span
            if piece.name is not None:
                names.setdefault(piece.name, []).append(span)
            start = end
        start += len(". ")
    return Passage(context, told, rumours, names)
