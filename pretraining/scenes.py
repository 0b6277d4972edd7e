"""Paragraphs of `reading`, but smaller: so few entities and facts that reading can begin.

They are made by the generator of `reading` from other seeds, with the names and wordings of its
training split alone; what its test splits hold out occurs nowhere here. Without a size it
is a whole paragraph as `reading` has it, with rumours and questions without an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pretraining.story import Question, Story
from tunelab.data.reading.asking import Asker, ask
from tunelab.data.reading.asking import Question as Asked
from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Kind, Template, load_frames, load_kinds
from tunelab.data.reading.names import Names, Value, words
from tunelab.data.reading.passage import Piece, fill
from tunelab.data.reading.scene import Scene, choose_facts, imagine
from tunelab.data.reading.telling import tell

_TRIES = 3
"""Draws of a question, for each fact."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many entities a paragraph is about, and how many facts it tells of them in all."""

    entities: int
    facts: int
    names: int | None = None
    """So many short names are all that entities have; None for those of `reading`."""
    plain: bool = False
    """One sentence a fact, in one wording for all, and unfinished sentences for questions."""


def small_scene(draw: Draw, size: Size | None, *, most: int) -> Story:
    """A paragraph of a size, and up to `most` questions on it.

    Args:
        size: None for a whole paragraph of `reading`.
    """
    kind = draw.pick(load_kinds(new=False))
    frames, names = load_frames(new=False), Names(draw, new=False)
    region = draw.pick(words("region", new=False))[1]
    scene = (
        imagine(kind, region, names, draw)
        if size is None
        else _few(draw, names, kind, region=region, size=size)
    )
    if size is not None and size.plain:
        return _plainly(draw, scene)
    passage = tell(scene, frames, draw)
    if size is None:
        asked = ask(scene, passage, frames, names, draw, count=most)
    else:
        asker = Asker(scene, passage, frames, names, draw)
        asked = [
            question
            for _ in range(_TRIES * size.facts + 2)
            if (question := _answerable(draw, asker, scene)) is not None
        ]
    questions = dict.fromkeys(
        Question(one.text, one.answers[0].text if one.answers else "") for one in asked
    )
    return Story(passage.context, tuple(questions)[:most])


def _few(draw: Draw, names: Names, kind: Kind, *, region: str, size: Size) -> Scene:
    """A scene of a size; alone, an entity has no two facts with values of one type."""
    if size.names is None:
        entities = tuple(names.entity(kind.name_type) for _ in range(size.entities))
    else:
        short = [word for _, word in words("vessel", new=False)][: size.names]
        entities = tuple(Value(word, (word,)) for word in draw.shuffled(short)[: size.entities])
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


def _plainly(draw: Draw, scene: Scene) -> Story:
    """ "A was built in 1602. B was built in 1711." and "B was built in" """
    wordings = [[vp for vp in fact.vp if vp[-2:] == ("V", "")] for fact in scene.facts]
    chosen = [draw.pick(some) if some else ("had ", "V", "") for some in wordings]
    told = [
        (_sentence(scene.entities[e].text, chosen[f], scene.entities[e].pronouns[1]), value.text)
        for (e, f), value in scene.told.items()
    ]
    return Story(
        " ".join(f"{begun} {value}." for begun, value in told),
        tuple(Question(begun, value) for begun, value in draw.shuffled(told)),
    )


def _sentence(name: str, wording: Template, its: str) -> str:
    """The sentence up to its value."""
    said = fill(wording, {"V": lambda: [Piece("")], "p": lambda: [Piece(its)]})
    return f"{name} " + "".join(piece.text for piece in said).rstrip()


def _answerable(draw: Draw, asker: Asker, scene: Scene) -> Asked | None:
    """A question that can be put to so small a scene: alone, an entity is called by its name."""
    choice = draw.below(10) if len(scene.entities) > 1 else 9
    told_twice = all(sum(e == other for other, _ in scene.told) > 1 for e, _ in scene.told)
    if choice < 2:
        return asker.looking_for(draw.pick(list(scene.told)))
    if choice < 4 and told_twice:
        return asker.described(True)
    return asker.named(True)
