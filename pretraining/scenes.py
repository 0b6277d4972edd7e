"""Paragraphs of `reading`, but smaller: so few entities and facts that reading can begin.

They are made by the generator of `reading` from other seeds, with the names of its training split
alone: those that its test splits hold out occur nowhere here. The wordings of all splits do: a base
knows the language that its tasks are written in, and there is nowhere else it could learn that a
bridge which "was conceived by" somebody was designed. Without a size it is a whole paragraph as
`reading` has it, with rumours and questions without an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from pretraining.naming import MixedNames
from pretraining.story import Hint, Question, Story, Stretch
from tunelab.data.reading.asking import Asker, ask
from tunelab.data.reading.asking import Question as Asked
from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Fact, Frames, Kind, load_frames, load_kinds
from tunelab.data.reading.names import Names, words
from tunelab.data.reading.passage import Passage, Span
from tunelab.data.reading.scene import Scene, Slot, choose_facts, imagine
from tunelab.data.reading.telling import tell

_UNANSWERED = 0.2
"""Share of the questions without an answer that stay: they are made to mislead, and with all of
them, a third, nothing but their number is learned for long."""
_TRIES = 3
"""Draws of a question, for each fact."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many entities a paragraph is about, and how many facts it tells of them in all."""

    entities: int
    facts: int


def small_scene(draw: Draw, size: Size | None, *, most: int) -> Story:
    """A paragraph of a size, and up to `most` questions on it.

    Args:
        size: None for a whole paragraph of `reading`.
    """
    kind, frames, names = draw.pick(_kinds()), _frames(), MixedNames(draw)
    region = draw.pick(words("region", new=False))[1]
    scene = (
        imagine(kind, region, names, draw)
        if size is None
        else _few(draw, names, kind, region=region, size=size)
    )
    passage = tell(scene, frames, draw)
    if size is None:
        every = ask(scene, passage, frames, names, draw, count=most + most // 2)
        asked = [question for question in every if question.answers or draw.chance(_UNANSWERED)]
    else:
        asker = Asker(scene, passage, frames, names, draw)
        drawn = (_answerable(draw, asker, scene) for _ in range(_TRIES * size.facts + 2))
        asked = [question for question in drawn if question is not None]
    questions = {one.text: _question(one, scene, passage) for one in asked}
    return Story(passage.context, tuple(questions.values())[:most])


@cache
def _kinds() -> tuple[Kind, ...]:
    """All kinds, with the wordings of all splits."""
    return tuple(
        replace(
            train,
            facts=tuple(map(_fact, train.facts, new.facts)),
            open=train.open + new.open,
            fill=train.fill + new.fill,
        )
        for train, new in zip(load_kinds(new=False), load_kinds(new=True), strict=True)
    )


def _fact(train: Fact, new: Fact) -> Fact:
    return replace(
        train,
        vp=train.vp + new.vp,
        clause=train.clause + new.clause,
        lead=train.lead + new.lead,
        ask=train.ask + new.ask,
    )


@cache
def _frames() -> Frames:
    train, new = load_frames(new=False), load_frames(new=True)
    return Frames(
        pair=train.pair + new.pair,
        lead=train.lead + new.lead,
        contrast=train.contrast + new.contrast,
        rumour=train.rumour + new.rumour,
        correction=train.correction + new.correction,
        which=train.which + new.which,
    )


def _few(draw: Draw, names: Names, kind: Kind, *, region: str, size: Size) -> Scene:
    """A scene of a size; alone, an entity has no two facts with values of one type."""
    entities = tuple(names.entity(kind.name_type) for _ in range(size.entities))
    if size.entities == 1:
        facts = tuple({fact.type: fact for fact in draw.shuffled(kind.facts)}.values())
        facts = facts[: size.facts]
    else:
        facts = choose_facts(kind, math.ceil(size.facts / size.entities), draw)
    eras = [1600 + 70 * era + draw.below(50) for era in draw.shuffled(range(size.entities))]
    scene = Scene(kind, region, entities, facts, {}, {})
    for e, f in draw.shuffled(scene.slots)[: size.facts]:
        scene.told[e, f] = names.value(facts[f], eras[e])
    return scene


def _answerable(draw: Draw, asker: Asker, scene: Scene) -> Asked | None:
    """A question that can be put to so small a scene: alone, an entity is called by its name."""
    choice = draw.below(10) if len(scene.entities) > 1 else 9
    told_twice = all(sum(e == other for other, _ in scene.told) > 1 for e, _ in scene.told)
    if choice < 2:
        return asker.looking_for(draw.pick(list(scene.told)))
    if choice < 4 and told_twice:
        return asker.described(True)
    return asker.named(True)


def _question(asked: Asked, scene: Scene, passage: Passage) -> Question:
    if not asked.answers:
        return Question(asked.text, "")
    answer = asked.answers[0]
    slots = [slot for slot, span in passage.told.items() if span == answer]
    hint = (
        _named_or_described(asked.text, slots[0], scene, passage)
        if slots
        else _looked_for(asked.text, answer, passage)
    )
    return Question(asked.text, answer.text, hint)


def _named_or_described(text: str, slot: Slot, scene: Scene, passage: Passage) -> Hint | None:
    """The answer is a value; the question has its entity's name, or another of its values."""
    entity, answer = slot[0], passage.told[slot]
    own = _of(entity, answer, passage)
    called = scene.entities[entity]
    for name in (called.text, *called.variants):
        if (asked := _find(name, text)) is not None:
            return Hint(asked, _stretch(answer), None, (own,))
    for other, span in passage.told.items():
        if other[0] == entity and other != slot and (asked := _find(span.text, text)) is not None:
            found = _of(entity, span, passage)
            return Hint(asked, _stretch(answer), found[0], (own, found))
    return None


def _looked_for(text: str, answer: Span, passage: Passage) -> Hint | None:
    """The answer is a name; the question has a value of its entity."""
    for (entity, _), span in passage.told.items():
        asked = _find(span.text, text)
        if asked is not None and passage.name_of(entity, near=span) == answer:
            return Hint(asked, _stretch(answer), _stretch(span), (_of(entity, span, passage),))
    return None


def _of(entity: int, value: Span, passage: Passage) -> tuple[Stretch, Stretch]:
    """A value and the name of its entity."""
    return _stretch(value), _stretch(passage.name_of(entity, near=value))


def _find(words: str, text: str) -> Stretch | None:
    start = text.find(words)
    return None if start < 0 else (start, start + len(words))


def _stretch(span: Span) -> Stretch:
    return span.start, span.start + len(span.text)
