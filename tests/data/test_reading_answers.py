"""An independent reader of the set `reading`: it knows every wording and every told fact.

It reads a question backwards through the templates to facts and entities, looks these up, and
must come to the gold answer, or to none where there is none. So no question that is meant to have
no answer has one by accident, in other words or through another entity. What it cannot see is
whether two wordings mean the same to a human reader: it takes each fact to be its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from tunelab.data.reading.asking import ask
from tunelab.data.reading.draw import Draw
from tunelab.data.reading.kinds import Fact, Frames, Template, load_frames, load_kinds
from tunelab.data.reading.names import Names
from tunelab.data.reading.scene import Scene, imagine
from tunelab.data.reading.telling import tell


@cache
def pattern(template: Template, **choices: str) -> re.Pattern[str]:
    """What a template can become; {E}, {V} and {x} are captured."""
    inner = {"E": "(.+?)", "V": "(.+?)", "x": "(.+)", "that": "(?:that|who)", **choices}
    parts = [
        inner.get(part, r"\w+") if place % 2 else re.escape(part)
        for place, part in enumerate(template)
    ]
    return re.compile("".join(parts), re.IGNORECASE)


def read(question: str, scene: Scene, frames: Frames) -> set[str]:
    """Every answer that the told facts give, in lower case."""
    noun = f"(?:{'|'.join(scene.kind.nouns)})"
    answers: set[str] = set()
    for frame in frames.which:
        if match := pattern(frame, noun=noun).fullmatch(question):
            answers |= {scene.entities[e].text.lower() for e in such(match[1], scene)}
    for fact in scene.kind.facts:
        for wording in fact.ask:
            if match := pattern(wording).fullmatch(question):
                entities = meant(match[1], scene, noun)
                answers |= {value for e, value in told(fact, scene) if e in entities}
    return answers


def meant(words: str, scene: Scene, noun: str) -> set[int]:
    """The entities that a name or a description fits."""
    if match := re.fullmatch(f"the {noun} (?:that|who) (.+)", words, re.IGNORECASE):
        return such(match[1], scene)
    names = [{name.text.lower(), *map(str.lower, name.variants)} for name in scene.entities]
    return {entity for entity, texts in enumerate(names) if words.lower() in texts}


def such(said: str, scene: Scene) -> set[int]:
    """The entities of which something is true."""
    return {
        entity
        for fact in scene.kind.facts
        for wording in fact.vp
        if (match := pattern(wording).fullmatch(said))
        for entity, value in told(fact, scene)
        if value == match[1].lower()
    }


def told(fact: Fact, scene: Scene) -> Iterator[tuple[int, str]]:
    for (entity, place), value in scene.told.items():
        if scene.facts[place] is fact:
            yield entity, value.text.lower()


@pytest.mark.parametrize("new", [False, True])
def test_a_reader_who_knows_every_wording_finds_the_gold_answers(new: bool) -> None:
    frames = load_frames(new=new)
    for kind in load_kinds(new=new):
        for number in range(12):
            draw = Draw(f"{kind.title} {number}")
            names = Names(draw, new=new)
            scene = imagine(kind, "Vardenmark", names, draw)
            passage = tell(scene, frames, draw)
            for question in ask(scene, passage, frames, names, draw, count=8):
                gold = {answer.text.lower() for answer in question.answers[:1]}
                assert read(question.text, scene, frames) == gold, (question, passage.context)
