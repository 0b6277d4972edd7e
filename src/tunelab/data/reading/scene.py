"""What is true in a paragraph, and what of it will be told.

A scene has two or three entities of one kind, and some facts that each of them has. Chance says
which pairs of entity and fact - slots - are told; the others stay open, so that the very same
question has an answer in one paragraph and none in the next. Some slots get a rumour: a wrong
value that the text denies, with or without giving the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Fact, Kind
from tunelab.data.reading.names import Names, Value

Slot = tuple[int, int]
"""An entity and a fact, by their place in the scene."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Entities, facts, and what the text says of them."""

    kind: Kind
    region: str
    entities: tuple[Value, ...]
    facts: tuple[Fact, ...]
    told: dict[Slot, Value]
    rumours: dict[Slot, Value]

    @property
    def slots(self) -> list[Slot]:
        """Every pair of entity and fact, told or not."""
        return [(e, f) for e in range(len(self.entities)) for f in range(len(self.facts))]


def imagine(kind: Kind, region: str, names: Names, draw: Draw) -> Scene:
    """Draw a scene."""
    count = 3 if draw.chance(0.35) else 2
    facts = choose_facts(kind, 5 if count == 3 else 8, draw)
    entities = tuple(names.entity(kind.name_type) for _ in range(count))
    eras = [1600 + 70 * era + draw.below(50) for era in draw.shuffled(range(count))]
    scene = Scene(kind, region, entities, facts, {}, {})
    told = _choose_told(scene.slots, count, draw)
    untold = [slot for slot in scene.slots if slot not in told]
    scene.told.update({(e, f): names.value(facts[f], eras[e]) for e, f in told})
    for slots, probability in ((untold, 0.35), (told, 0.25)):
        if draw.chance(probability):
            e, f = draw.pick(slots)
            scene.rumours[e, f] = names.value(facts[f], eras[e])
    return scene


def choose_facts(kind: Kind, count: int, draw: Draw) -> tuple[Fact, ...]:
    """Facts in the order of the table, most of them in pairs of one type that can be mixed up."""
    chosen: list[Fact] = []
    shuffled = draw.shuffled(kind.facts)
    for fact in shuffled:
        like = [other for other in shuffled if other.type == fact.type and other != fact]
        chosen += [one for one in (fact, *like[:1]) if one not in chosen]
    return tuple(fact for fact in kind.facts if fact in chosen[:count])


def _choose_told(slots: list[Slot], entities: int, draw: Draw) -> list[Slot]:
    """Two thirds of the slots, with at least two of every entity."""
    while True:
        told = draw.shuffled(slots)[: round(len(slots) * 0.66)]
        if all(sum(e == entity for e, _ in told) >= 2 for entity in range(entities)):
            return told
