"""Sentences and questions from the senses of lexicon.toml.

A relation is something that can be told of an entity {E}: a value {V} of some sort. Its wordings
come from general frames, filled with any of the exchangeable words of a sense, so that a
question rarely uses the words of the statement. What `reading` asks, and what its held-out
wordings say, is taken out, so that a model pretrained on this has seen none of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tunelab.data.reading.kinds import KINDS, Template, read_table
from tunelab.data.reading.kinds import parse as parse_template


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """What can be told of an entity, in all its wordings."""

    sort: str
    """Of its values: person, year, goods, ..."""
    phrases: tuple[str, ...]
    """Said of a subject: was designed by {V}."""
    says: tuple[str, ...]
    """Whole sentences: {V} designed {E}."""
    asks: tuple[str, ...]
    """Questions: Who designed {E}?"""
    people: bool
    """Whether it is said of people, rather than of things."""

    @property
    def statements(self) -> tuple[str, ...]:
        """Every whole sentence."""
        return (*(f"{{E}} {phrase}" for phrase in self.phrases), *self.says)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity: its nouns, its pronoun, and how its names are made."""

    nouns: tuple[str, ...]
    person: bool
    name: str


@cache
def lexicon() -> Mapping[str, Any]:
    """The tables of lexicon.toml."""
    return tomllib.loads((Path(__file__).parent / "lexicon.toml").read_text("utf-8"))


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of entity."""
    found: list[Kind] = []
    for line in lexicon()["kinds"]:
        _, nouns, pronoun, name = line.split(" | ")
        found.append(Kind(tuple(nouns.split(", ")), pronoun == "person", name))
    return tuple(found)


@cache
def relations() -> tuple[Relation, ...]:
    """Every relation, less the wordings of `reading`."""
    table = lexicon()
    made: list[Relation] = []
    for line in table["events"]:
        made += _events(line, people=False)
    for line in table["lives"]:
        made += _events(line, people=True)
    for line in table["deeds"]:
        made += [_deed(line, people=people) for people in (False, True)]
    for line in table["traits"]:
        made += [_trait(line, people=people) for people in (False, True)]
    made += [_count(line) for line in table["counts"]]
    made += [_measure(line) for line in table["measures"]]
    made += [_sum(line) for line in table["sums"]]
    return tuple(_without(relation, held_out_wordings()) for relation in made)


@cache
def held_out_wordings() -> frozenset[str]:
    """All questions of `reading`, and its statements that only the test uses, in plain form."""
    found: list[Template] = []
    for kind in KINDS:
        table = read_table(f"kinds/{kind}.toml")
        found += [parse_template(text) for text in (*table["new"]["open"], *table["new"]["fill"])]
        for fact in table["facts"].values():
            new = fact["new"]
            texts = [*fact["train"]["ask"], *new["ask"], *new["vp"], *new["clause"]]
            found += [parse_template(text) for text in (*texts, *new.get("lead", ()))]
    return frozenset(plain("{}".join(template[::2])) for template in found)


def plain(template: str) -> str:
    """A wording with nameless slots, without subject, case and closing mark, to compare it."""
    return re.sub(r"\{\w*\}", "_", template).casefold().strip(" ?.").removeprefix("_ ")


def _without(relation: Relation, unwanted: frozenset[str]) -> Relation:
    def kept(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(text for text in texts if plain(text) not in unwanted)

    return Relation(
        relation.sort, kept(relation.phrases), kept(relation.says), kept(relation.asks),
        relation.people,
    )  # fmt: skip


def _spoken(words: str) -> list[str]:
    return [word.replace("_", " ") for word in words.split(", ") if word]


def _verbs(words: str) -> list[tuple[str, str, str]]:
    forms = [tuple(part.replace("_", " ") for part in verb.split()) for verb in words.split(", ")]
    return [(base, past, participle) for base, past, participle in forms]


def _events(line: str, *, people: bool) -> list[Relation]:
    verbs, agents, events, roles = (part.strip() for part in line.split("|"))
    makers = {"person": _doer, "year": _time, "place": _scene}
    return [
        makers[role](_verbs(verbs), _spoken(agents), _spoken(events), people=people)
        for role in roles.split()
    ]


def _doer(
    verbs: list[tuple[str, str, str]], agents: list[str], events: list[str], *, people: bool
) -> Relation:
    phrases: list[str] = []
    says: list[str] = []
    asks: list[str] = []
    for _, past, part in verbs:
        phrases += [f"was {part} by {{V}}", f"had been {part} by {{V}}"]
        says += [f"{{V}} {past} {{E}}", f"it was {{V}} that {past} {{E}}"]
        asks += [
            f"Who {past} {{E}}?", f"By whom was {{E}} {part}?", f"Who was {{E}} {part} by?",
            f"Who was it that {past} {{E}}?", f"Which person {past} {{E}}?",
            f"{{E}} was {part} by whom?",
        ]  # fmt: skip
    for agent in agents:
        says += [
            f"the {agent} of {{E}} was {{V}}", f"{{E}}'s {agent} was {{V}}",
            f"{{V}} was the {agent} of {{E}}", f"{{V}} acted as {agent} of {{E}}",
        ]  # fmt: skip
        phrases += [f"had {{V}} as {agent}", f"found a {agent} in {{V}}"]
        asks += [
            f"Who was the {agent} of {{E}}?", f"Who was {{E}}'s {agent}?",
            f"What was the {agent} of {{E}} called?", f"Whom did {{E}} have as {agent}?",
        ]  # fmt: skip
    for event in events:
        says += [
            f"the {event} of {{E}} was the work of {{V}}",
            f"{{V}} saw to the {event} of {{E}}",
        ]
        asks += [f"Whose work was the {event} of {{E}}?", f"Who saw to the {event} of {{E}}?"]
    return Relation("person", tuple(phrases), tuple(says), tuple(asks), people)


def _time(
    verbs: list[tuple[str, str, str]], agents: list[str], events: list[str], *, people: bool
) -> Relation:
    del agents
    phrases: list[str] = []
    says: list[str] = []
    asks: list[str] = []
    for _, past, part in verbs:
        phrases += [f"was {part} in {{V}}", f"was {part} in the year {{V}}", f"got {part} in {{V}}"]
        says += [f"in {{V}} {{E}} was {part}", f"somebody {past} {{E}} in {{V}}"]
        asks += [
            f"When was {{E}} {part}?", f"In what year was {{E}} {part}?",
            f"In which year was {{E}} {part}?", f"What year was {{E}} {part}?",
            f"{{E}} was {part} when?", f"In what year did people see {{E}} {part}?",
        ]  # fmt: skip
    for event in events:
        says += [
            f"the {event} of {{E}} took place in {{V}}", f"{{E}}'s {event} came in {{V}}",
            f"{{V}} was the year of {{E}}'s {event}",
        ]  # fmt: skip
        phrases += [f"saw its {event} in {{V}}" if not people else f"had a {event} in {{V}}"]
        asks += [
            f"When did the {event} of {{E}} take place?", f"When was the {event} of {{E}}?",
            f"What was the year of {{E}}'s {event}?",
            f"In which year did the {event} of {{E}} fall?",
        ]  # fmt: skip
    return Relation("year", tuple(phrases), tuple(says), tuple(asks), people)


def _scene(
    verbs: list[tuple[str, str, str]], agents: list[str], events: list[str], *, people: bool
) -> Relation:
    del agents
    phrases: list[str] = []
    says: list[str] = []
    asks: list[str] = []
    for _, past, part in verbs:
        phrases += [f"was {part} in {{V}}", f"was {part} near {{V}}", f"was {part} at {{V}}"]
        says += [f"in {{V}} {{E}} was {part}", f"people in {{V}} {past} {{E}}"]
        asks += [
            f"Where was {{E}} {part}?", f"In which place was {{E}} {part}?",
            f"In what town was {{E}} {part}?", f"{{E}} was {part} where?",
        ]  # fmt: skip
    for event in events:
        says += [
            f"the {event} of {{E}} took place at {{V}}", f"{{V}} was the place of {{E}}'s {event}",
        ]  # fmt: skip
        asks += [f"Where did the {event} of {{E}} take place?", f"Where was {{E}}'s {event}?"]
    return Relation("place", tuple(phrases), tuple(says), tuple(asks), people)


def _deed(line: str, *, people: bool) -> Relation:
    verbs, sort, nouns = (part.strip() for part in line.split("|"))
    phrases: list[str] = []
    says: list[str] = []
    asks: list[str] = []
    thing = {"person": "person", "place": "town", "river": "river"}.get(sort, "")
    for base, past, part in _verbs(verbs):
        phrases += [f"{past} {{V}}", f"used to {base} {{V}}", f"is known to have {part} {{V}}"]
        says += [f"{{V}} was what {{E}} {past}" if sort != "person" else f"{{E}} once {past} {{V}}"]
        word = {"person": "Whom", "place": "What place", "river": "What river"}.get(sort, "What")
        asks += [f"{word} did {{E}} {base}?", f"{{E}} {past} {word.lower()}?"]
        if thing:
            asks += [f"Which {thing} did {{E}} {base}?"]
    for noun in _spoken(nouns):
        says += [f"{{E}}'s {noun} was {{V}}", f"{{V}} was the {noun} of {{E}}"]
        asks += [f"What was the {noun} of {{E}}?", f"What was {{E}}'s {noun}?"]
    return Relation(sort, tuple(phrases), tuple(says), tuple(asks), people)


def _trait(line: str, *, people: bool) -> Relation:
    nouns, sort = (part.strip() for part in line.split("|"))
    phrases: list[str] = []
    says: list[str] = []
    asks: list[str] = []
    word = "Who" if sort == "person" else "What"
    for noun in _spoken(nouns):
        own = "a" if people else "its"
        phrases += [f"has {{V}} as {own} {noun}", f"has a {noun} called {{V}}"]
        phrases += [f"got {{V}} for a {noun}"]
        says += [
            f"the {noun} of {{E}} is {{V}}", f"{{E}}'s {noun} is {{V}}",
            f"{{V}} is the {noun} of {{E}}", f"for {{E}} the {noun} was always {{V}}",
        ]  # fmt: skip
        asks += [
            f"{word} is the {noun} of {{E}}?", f"{word} is {{E}}'s {noun}?",
            f"{word} was the {noun} of {{E}}?", f"What does {{E}} have as {own} {noun}?",
            f"Which {noun} does {{E}} have?",
        ]  # fmt: skip
    return Relation(sort, tuple(phrases), tuple(says), tuple(asks), people)


def _count(line: str) -> Relation:
    noun, verb = (part.strip() for part in line.split("|"))
    base = {"has": "have", "houses": "house", "teaches": "teach"}.get(verb, verb.removesuffix("s"))
    return Relation(
        "count",
        (f"{verb} {{V}} {noun}", f"has {{V}} {noun}", f"boasts {{V}} {noun}"),
        (
            f"the number of {noun} of {{E}} is {{V}}", f"there are {{V}} {noun} in {{E}}",
            f"{{V}} {noun} belong to {{E}}", f"{{E}}'s {noun} number {{V}}",
        ),
        (
            f"How many {noun} does {{E}} {base}?", f"How many {noun} does {{E}} have?",
            f"What is the number of {noun} of {{E}}?", f"How many {noun} are there in {{E}}?",
            f"How many {noun} belong to {{E}}?",
        ),
        people=False,
    )  # fmt: skip


def _measure(line: str) -> Relation:
    adjective, noun = (part.strip().replace("_", " ") for part in line.split("|"))
    return Relation(
        "metres",
        (f"is {{V}} {adjective}", f"measures {{V}} in {noun}", f"has a {noun} of {{V}}"),
        (f"the {noun} of {{E}} is {{V}}", f"{{E}}'s {noun} comes to {{V}}"),
        (
            f"How {adjective} is {{E}}?", f"What is the {noun} of {{E}}?",
            f"What is {{E}}'s {noun}?", f"What {noun} does {{E}} have?",
        ),
        people=False,
    )  # fmt: skip


def _sum(line: str) -> Relation:
    noun, verb = (part.strip().replace("_", " ") for part in line.split("|"))
    return Relation(
        "money",
        (f"{verb} {{V}}", f"had a {noun} of {{V}}"),
        (f"the {noun} of {{E}} was {{V}}", f"{{E}}'s {noun} came to {{V}}"),
        (
            f"What was the {noun} of {{E}}?", f"How high was the {noun} of {{E}}?",
            f"How much was {{E}}'s {noun}?", f"What did the {noun} of {{E}} come to?",
        ),
        people=False,
    )  # fmt: skip
