"""Which sentence tells what: the order of a paragraph, before a word of it is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from tunelab.data.reading.draw import Draw
from tunelab.data.reading.scene import Scene, Slot


@dataclass(frozen=True, slots=True)
class Unit:
    """One sentence: one or two facts of an entity, one fact of two entities, or a filler.

    With a `rumour` the sentence denies the rumour about that slot, and sets it right if the slot
    is also in `told`.
    """

    entity: int
    told: tuple[Slot, ...] = ()
    rumour: Slot | None = None


def plan(scene: Scene, draw: Draw) -> list[Unit]:
    """Share the told slots and the rumours of a scene out among sentences."""
    left = [slot for slot in draw.shuffled(list(scene.told)) if slot not in scene.rumours]
    contrasts = _contrasts(scene, left, draw)
    blocks = [_block(scene, entity, left, draw) for entity in range(len(scene.entities))]
    units = [unit for block in draw.shuffled(blocks) for unit in block]
    if draw.chance(0.3):
        units = draw.shuffled(units)
    if draw.chance(0.5):
        contrasts.append(Unit(draw.below(len(scene.entities))))
    for unit in contrasts:
        units.insert(draw.below(len(units) + 1), unit)
    return units


def _contrasts(scene: Scene, left: list[Slot], draw: Draw) -> list[Unit]:
    """Sentences that tell one fact of two entities; their slots are taken out of `left`."""
    units: list[Unit] = []
    for f in draw.shuffled(range(len(scene.facts))):
        slots = [slot for slot in left if slot[1] == f]
        if len(slots) >= 2 and len(units) < 2 and draw.chance(0.35):
            a, b = slots[:2]
            left.remove(a)
            left.remove(b)
            units.append(Unit(a[0], (a, b)))
    return units


def _block(scene: Scene, entity: int, left: list[Slot], draw: Draw) -> list[Unit]:
    """The sentences about one entity alone."""
    units = [
        Unit(entity, (slot,) if slot in scene.told else (), slot)
        for slot in scene.rumours
        if slot[0] == entity
    ]
    slots = [slot for slot in left if slot[0] == entity]
    while slots:
        size = 2 if draw.chance(0.55) else 1
        units.append(Unit(entity, tuple(slots[:size])))
        slots = slots[size:]
    return draw.shuffled(units)
