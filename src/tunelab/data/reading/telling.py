"""From a scene to a paragraph that tells it.

An entity is called by its name, by a noun or by a pronoun, as the sentence before allows.
"""

from __future__ import annotations

from collections.abc import Callable

from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Frames, Template
from tunelab.data.reading.passage import Passage, Piece, Pieces, assemble, fill
from tunelab.data.reading.plan import Unit, plan
from tunelab.data.reading.scene import Scene, Slot

Words = dict[str, Callable[[], Pieces]]

_SAY: Template = ("", "S", " ", "x", "")


def tell(scene: Scene, frames: Frames, draw: Draw) -> Passage:
    """Write the paragraph."""
    teller = _Teller(scene, frames, draw)
    sentences: list[Pieces] = []
    if draw.chance(0.5):
        opening = draw.pick(scene.kind.open)
        sentences.append(fill(opening, {"R": lambda: [Piece(scene.region)]}))
    sentences += [teller.sentence(unit) for unit in plan(scene, draw)]
    return assemble(sentences)


class _Teller:
    """Chooses the words of one sentence after the other."""

    def __init__(self, scene: Scene, frames: Frames, draw: Draw) -> None:
        self._scene = scene
        self._frames = frames
        self._draw = draw
        self._known: set[int] = set()
        self._focus: int | None = None
        """The entity that a pronoun would be understood to mean."""

    def sentence(self, unit: Unit) -> Pieces:
        """The words of one unit."""
        pieces = self._words(unit)
        alone = all(entity == unit.entity for entity, _ in unit.told)
        types = {self._scene.facts[fact].type for _, fact in unit.told}
        clear = alone and self._scene.kind.name_type not in types
        self._focus = unit.entity if clear else None
        return pieces

    def _words(self, unit: Unit) -> Pieces:
        words = self._about(unit.entity)
        if unit.rumour is not None:
            words |= {"A": words["N"], "a": self._vp(unit.rumour, rumour=True)}
            if not unit.told:
                return self._frame(self._frames.rumour, words)
            words["b"] = self._vp(unit.told[0])
            return self._frame(self._frames.correction, words)
        match unit.told:
            case (first, second) if first[0] != second[0]:
                words |= {"A": words["N"], "a": self._vp(first), "b": self._vp(second)}
                words["B"] = lambda: self._name(second[0])
                return self._frame(self._frames.contrast, words)
            case (first, second):
                return self._pair(first, second, words)
            case (slot,):
                return self._one(slot, words)
            case _:
                return self._frame(self._scene.kind.fill, words)

    def _one(self, slot: Slot, words: Words) -> Pieces:
        if self._draw.chance(0.4):
            words["V"] = self._value(slot)
            return self._frame(self._scene.facts[slot[1]].clause, words)
        words["x"] = self._vp(slot)
        return fill(_SAY, words)

    def _pair(self, first: Slot, second: Slot, words: Words) -> Pieces:
        lead = self._scene.facts[first[1]].lead
        words["x"] = self._vp(second)
        if lead and self._draw.chance(0.7):
            opening = fill(self._draw.pick(lead), {"V": self._value(first)})
            words["lead"] = lambda: opening
            return self._frame(self._frames.lead, words)
        words["y"] = self._vp(first)
        return self._frame(self._frames.pair, words)

    def _frame(self, templates: tuple[Template, ...], words: Words) -> Pieces:
        return fill(self._draw.pick(templates), words)

    def _about(self, entity: int) -> Words:
        """Ways to refer to an entity; each is decided when it is used."""
        it, its, him = self._scene.entities[entity].pronouns
        return {
            "S": lambda: self._refer(entity, it),
            "O": lambda: self._refer(entity, him),
            "P": lambda: self._possessive(entity, its),
            "N": lambda: self._name(entity),
            "p": lambda: [Piece(its)],
            "it": lambda: [Piece(it)],
            "who": lambda: [Piece("who" if it != "it" else "which")],
        }

    def _refer(self, entity: int, pronoun: str) -> Pieces:
        if self._focus != entity or self._draw.chance(0.15):
            return self._name(entity)
        if self._draw.chance(0.3):
            return [Piece(f"the {self._draw.pick(self._scene.kind.nouns)}")]
        return [Piece(pronoun)]

    def _possessive(self, entity: int, pronoun: str) -> Pieces:
        pieces = self._refer(entity, pronoun)
        return pieces if pieces[0].text == pronoun else [*pieces, Piece("'s")]

    def _name(self, entity: int) -> Pieces:
        """The full name at first, later perhaps the surname of a person."""
        name = self._scene.entities[entity]
        short = name.variants[-1] if self._scene.kind.name_type == "person" else name.text
        if entity in self._known and short != name.text and self._draw.chance(0.7):
            return [Piece(short)]
        self._known.add(entity)
        return [Piece(name.text, name=entity)]

    def _vp(self, slot: Slot, *, rumour: bool = False) -> Callable[[], Pieces]:
        value = self._value(slot, rumour=rumour)
        its = self._scene.entities[slot[0]].pronouns[1]
        template = self._draw.pick(self._scene.facts[slot[1]].vp)
        pieces = fill(template, {"V": value, "p": lambda: [Piece(its)]})
        return lambda: pieces

    def _value(self, slot: Slot, *, rumour: bool = False) -> Callable[[], Pieces]:
        if rumour:
            return lambda: [Piece(self._scene.rumours[slot].text, rumour=slot)]
        return lambda: [Piece(self._scene.told[slot].text, told=slot)]
