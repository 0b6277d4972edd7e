"""Questions on a paragraph, a third of them without an answer in it.

A question names its entity ("When was the Maren built?"), describes it by another fact ("... the
ship that carried salt ..."), or looks for it ("Which ship sank in 1802?"). Without an answer are:

    a fact that is not told, while one of the same type is, or the same of another entity;
    a fact of which the text only denies a rumour;
    a description that fits no entity, because its value belongs to another fact;
    an entity that does not occur, but another does of which the fact is told.

Which fact is asked, and in which words, is drawn in the same way with and without an answer, so
that the question alone does not give away whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Fact, Frames, Template
from tunelab.data.reading.names import Names, Value
from tunelab.data.reading.passage import Passage, Piece, Pieces, Span, fill, plain
from tunelab.data.reading.scene import Scene, Slot

_DESCRIPTION: Template = ("the ", "noun", " ", "that", " ", "x", "")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold answers or, if it has none, the answer that it tempts to give."""

    text: str
    answers: tuple[Span, ...]
    plausible: Span | None = None


def ask(
    scene: Scene, passage: Passage, frames: Frames, names: Names, draw: Draw, *, count: int
) -> list[Question]:
    """Draw `count` different questions, or a few less if the paragraph does not give so many."""
    asker = Asker(scene, passage, frames, names, draw)
    without = count // 3 + draw.chance(count % 3 / 3)
    questions: dict[str, Question] = {}
    for answerable in draw.shuffled([True] * (count - without) + [False] * without):
        for _ in range(30):
            question = asker.question(answerable=answerable)
            if question is not None and question.text not in questions:
                questions[question.text] = question
                break
    return list(questions.values())


class Asker:
    """Draws questions on one paragraph; each asks something new, or is None."""

    def __init__(
        self, scene: Scene, passage: Passage, frames: Frames, names: Names, draw: Draw
    ) -> None:
        self._scene = scene
        self._passage = passage
        self._frames = frames
        self._names = names
        self._draw = draw
        self._told = list(scene.told)
        self._untold = [slot for slot in scene.slots if slot not in scene.told]
        self._asked: set[tuple[str, Slot]] = set()

    def question(self, *, answerable: bool) -> Question | None:
        """A question, or None if what was drawn does not make a new one."""
        match self._draw.below(10), answerable:
            case ((0 | 1), True):
                return self.looking_for(self._draw.pick(self._told))
            case ((0 | 1), False):
                return self._looking_for_none()
            case ((2 | 3), False) if self._draw.chance(0.5):
                return self._falsely_described()
            case ((2 | 3), _):
                return self.described(answerable)
            case 4, False if self._draw.chance(0.6):
                return self._stranger()
            case _:
                return self.named(answerable)

    def named(self, answerable: bool) -> Question | None:
        """What is told, or is not, of an entity that is called by its name."""
        slot = self._draw.pick(self._told if answerable else self._untold)
        name = self._scene.entities[slot[0]]
        short = self._scene.kind.name_type == "person" and self._draw.chance(0.25)
        return self._about(slot, [Piece(name.variants[-1] if short else name.text)])

    def described(self, answerable: bool) -> Question | None:
        """Likewise of an entity that is described by another of its facts."""
        slot = self._draw.pick(self._told if answerable else self._untold)
        others = [other for other in self._told if other[0] == slot[0] and other != slot]
        other = self._draw.pick(others)
        fact = self._scene.facts[other[1]]
        return self._about(slot, self._description(fact, self._scene.told[other], other[0]))

    def _falsely_described(self) -> Question | None:
        slot = self._draw.pick(self._told)
        others = [other for other in self._told if other[0] == slot[0] and other != slot]
        other = self._draw.pick(others)
        mate = self._mate(other)
        if mate is None or mate is self._scene.facts[slot[1]]:
            return None
        entity = self._description(mate, self._scene.told[other], other[0])
        return Question(self._text(slot, entity), (), self._passage.told[slot])

    def _stranger(self) -> Question | None:
        slot = self._draw.pick(self._told)
        name = self._names.entity(self._scene.kind.name_type)
        return Question(self._text(slot, [Piece(name.text)]), (), self._passage.told[slot])

    def looking_for(self, slot: Slot) -> Question | None:
        """Which entity it is that something told is true of."""
        if not self._once("which", slot):
            return None
        text = self._which(self._scene.facts[slot[1]], self._scene.told[slot], slot[0])
        name = self._passage.name_of(slot[0], near=self._passage.told[slot])
        return Question(text, _gold(name, self._scene.entities[slot[0]]))

    def _looking_for_none(self) -> Question | None:
        if self._scene.rumours and self._draw.chance(0.5):
            slot, value = self._draw.pick(list(self._scene.rumours.items()))
            fact, near = self._scene.facts[slot[1]], self._passage.rumours[slot]
        else:
            slot = self._draw.pick(self._told)
            value = self._scene.told[slot]
            fact, near = self._mate(slot), self._passage.told[slot]
        if fact is None:
            return None
        text = self._which(fact, value, slot[0])
        return Question(text, (), self._passage.name_of(slot[0], near=near))

    def _about(self, slot: Slot, entity: Pieces) -> Question | None:
        """Ask for what is told in a slot, or, if nothing is, for what seems to be."""
        if not self._once("what", slot):
            return None
        text = self._text(slot, entity)
        if slot in self._scene.told:
            return Question(text, _gold(self._passage.told[slot], self._scene.told[slot]))
        tempting = self._tempting(slot)
        return Question(text, (), self._draw.pick(tempting)) if tempting else None

    def _tempting(self, slot: Slot) -> list[Span]:
        """Answers to an open question that look right: denied ones, else of the same type."""
        if slot in self._passage.rumours:
            return [self._passage.rumours[slot]]
        entity, f = slot
        facts = self._scene.facts
        return [
            span
            for other, span in self._passage.told.items()
            if other[1] == f or (other[0] == entity and facts[other[1]].type == facts[f].type)
        ]

    def _mate(self, slot: Slot) -> Fact | None:
        """Another fact that could have the same value, rather one that the scene deals with."""
        fact = self._scene.facts[slot[1]]
        for facts in (self._scene.facts, self._scene.kind.facts):
            mates = [other for other in facts if other.type == fact.type and other != fact]
            if mates:
                return self._draw.pick(mates)
        return None

    def _once(self, form: str, slot: Slot) -> bool:
        """Whether this is the first question of its form about the slot."""
        new = (form, slot) not in self._asked
        self._asked.add((form, slot))
        return new

    def _text(self, slot: Slot, entity: Pieces) -> str:
        template = self._draw.pick(self._scene.facts[slot[1]].ask)
        return plain(fill(template, {"E": lambda: entity}), end="")

    def _which(self, fact: Fact, value: Value, entity: int) -> str:
        template = self._draw.pick(self._frames.which)
        return plain(fill(template, self._such(fact, value, entity)), end="")

    def _description(self, fact: Fact, value: Value, entity: int) -> Pieces:
        return fill(_DESCRIPTION, self._such(fact, value, entity))

    def _such(self, fact: Fact, value: Value, entity: int) -> dict[str, Callable[[], Pieces]]:
        """The words for an entity of which `fact` is true."""
        it, its, _ = self._scene.entities[entity].pronouns
        template = self._draw.pick(fact.vp)
        said = {"V": lambda: [Piece(value.text)], "p": lambda: [Piece(its)]}
        return {
            "noun": lambda: [Piece(self._draw.pick(self._scene.kind.nouns))],
            "that": lambda: [Piece("that" if it == "it" else "who")],
            "x": lambda: fill(template, said),
        }


def _gold(span: Span, value: Value) -> tuple[Span, ...]:
    """The span and the shorter spans inside it that name the same thing."""
    shorter = (Span(text, span.start + value.text.index(text)) for text in value.variants)
    return (span, *shorter)
