"""What the paragraphs are about: kinds of entities, their facts, and the wordings of each fact.

The tables lie in `kinds/*.toml`, one kind a file, and in `frames.toml`. Every list of wordings
stands twice: under `train`, and under `new` for the splits with wordings that training never saw.
A fact has these wordings; a template's slots are in braces:

    vp      said of a subject, begins with its verb:   was built in {V}
    clause  a whole sentence                           {P} captain was {V}
    lead    opens a sentence about the subject         Built in {V}
    ask     a question                                 When was {E} built?

    {V} value   {S} {O} subject, object (name, noun or pronoun)   {P} its possessive
    {N} name    {p} possessive pronoun   {E} entity in a question   {R} region of the article

A `vp` also serves behind "which" and in questions: "Which ship was built in 1832?".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

KINDS = (
    "ship", "town", "company", "scholar", "bridge", "festival", "expedition", "lighthouse",
)  # fmt: skip

Template = tuple[str, ...]
"""Literal text and slot names, taking turns; literal text first and last."""


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """Something that can be said of an entity, with one split's wordings of it.

    Facts of one `type` (year, person, ...) take the same values, so that a reader can mix them up.
    """

    name: str
    type: str
    low: int
    high: int
    vp: tuple[Template, ...]
    clause: tuple[Template, ...]
    lead: tuple[Template, ...]
    ask: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity, with one split's wordings; `name_type` says how its names are made."""

    title: Template
    nouns: tuple[str, ...]
    name_type: str
    facts: tuple[Fact, ...]
    open: tuple[Template, ...]
    fill: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """One split's sentences around facts; see frames.toml."""

    pair: tuple[Template, ...]
    lead: tuple[Template, ...]
    contrast: tuple[Template, ...]
    rumour: tuple[Template, ...]
    correction: tuple[Template, ...]
    which: tuple[Template, ...]


def read_table(name: str) -> Mapping[str, Any]:
    """Parse one of the .toml files of this package."""
    return tomllib.loads(files("tunelab.data.reading").joinpath(name).read_text("utf-8"))


@cache
def load_kinds(*, new: bool) -> tuple[Kind, ...]:
    """All kinds, with the wordings of training, or with the `new` ones."""
    return tuple(
        _kind(read_table(f"kinds/{name}.toml"), "new" if new else "train") for name in KINDS
    )


@cache
def load_frames(*, new: bool) -> Frames:
    """The frames, with the wordings of training, or with the `new` ones."""
    table = read_table("frames.toml")["new" if new else "train"]
    return Frames(**{name: _templates(texts) for name, texts in table.items()})


def _kind(table: Mapping[str, Any], part: str) -> Kind:
    return Kind(
        title=parse(table["title"]),
        nouns=tuple(table["nouns"]),
        name_type=table["name"],
        facts=tuple(_fact(name, row, row[part]) for name, row in table["facts"].items()),
        open=_templates(table[part]["open"]),
        fill=_templates(table[part]["fill"]),
    )


def _fact(name: str, row: Mapping[str, Any], wordings: Mapping[str, Sequence[str]]) -> Fact:
    return Fact(
        name=name,
        type=row["type"],
        low=row.get("low", 0),
        high=row.get("high", 0),
        vp=_templates(wordings["vp"]),
        clause=_templates(wordings["clause"]),
        lead=_templates(wordings.get("lead", ())),
        ask=_templates(wordings["ask"]),
    )


def _templates(texts: Sequence[str]) -> tuple[Template, ...]:
    return tuple(parse(text) for text in texts)


def parse(text: str) -> Template:
    """Split "was built in {V}" into ("was built in ", "V", "")."""
    return tuple(re.split(r"\{(\w+)\}", text))
