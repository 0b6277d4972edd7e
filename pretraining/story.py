"""A paragraph about a few entities, and questions on it.

A `Story` of n facts is a scene of up to four entities of one kind; each fact gives one of them a
value in one relation. Entities share relations, so that a reader has to attach every value to
both. Each question asks for one fact, in other words than the paragraph tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pretraining.naming import Naming
from pretraining.wording import Kind, Relation, kinds, lexicon, relations
from tunelab.data.reading.draw import Draw

Stretch = tuple[int, int]
"""First character, and the one behind the last."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Where a reader looks who answers a question."""

    asked: Stretch
    """Of the question: by what it tells its entity, the name or something that is true of it."""
    answer: Stretch
    """Of the paragraph."""
    found: Stretch | None
    """Of the paragraph: what the question says is true of its entity; None behind a name."""
    names: tuple[tuple[Stretch, Stretch], ...]
    """Of the paragraph: a value, and the name of the entity that it is told of."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be completed with words of the paragraph."""

    text: str
    """A question, or the beginning of a sentence."""
    answer: str
    """As it stands in the paragraph; empty where the paragraph does not tell."""
    hint: Hint | None = None

    @property
    def cloze(self) -> bool:
        """Whether the text is the beginning of a sentence."""
        return not self.text.endswith(("?", "."))


@dataclass(frozen=True, slots=True)
class Story:
    """A paragraph and its questions."""

    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class _Fact:
    entity: int
    relation: Relation
    value: str


def tell(draw: Draw, *, facts: int, coined: float, untold: float) -> Story:
    """Write a story.

    Args:
        facts: how many are told.
        coined: share of names made of syllables.
        untold: share of questions that the paragraph does not answer.
    """
    return _Teller(draw, facts=facts, coined=coined).story(untold)


class _Teller:
    def __init__(self, draw: Draw, *, facts: int, coined: float) -> None:
        self._draw = draw
        naming = Naming(draw, coined=coined)
        self._kind: Kind = draw.pick(kinds())
        most = min(4, 1 + facts // 2)
        self._names = [naming.name(self._kind.name) for _ in range(1 + draw.below(most))]
        fitting = [one for one in _fitting(self._kind.person) if one.asks and one.phrases]
        pool = [draw.pick(fitting) for _ in range(max(1, round(facts / len(self._names) * 1.3)))]
        slots = [(e, r) for e in range(len(self._names)) for r in dict.fromkeys(pool)]
        while len(slots) < facts:
            slots.append((draw.below(len(self._names)), draw.pick(fitting)))
        slots = list(dict.fromkeys(draw.shuffled(slots)))
        self._facts = [_Fact(e, r, naming.value(r.sort)) for e, r in slots[:facts]]
        told = {fact.entity for fact in self._facts}
        self._untold = [(e, r) for e, r in slots[facts:] if e in told]

    def story(self, untold: float) -> Story:
        text = self._paragraph()
        questions = [self._question(fact) for fact in self._draw.shuffled(self._facts)]
        questions += [self._question(fact) for fact in self._draw.shuffled(self._facts)]
        for index in range(len(questions)):
            if self._untold and self._draw.chance(untold):
                questions[index] = self._unanswered()
        return Story(text, tuple(dict.fromkeys(questions)))

    def _paragraph(self) -> str:
        draw = self._draw
        facts = list(self._facts)
        if draw.chance(0.7):
            facts.sort(key=lambda fact: (fact.entity * 7 + 3) % 5)
        sentences: list[str] = []
        if draw.chance(0.2):
            opening = draw.pick(lexicon()["openings"])
            sentences.append(opening.replace("{K}", draw.pick(self._kind.nouns)))
        before: int | None = None
        while facts:
            fact = facts.pop(0)
            if facts and facts[0].entity == fact.entity and draw.chance(0.25):
                sentences.append(self._pair(fact, facts.pop(0), before))
            elif (mate := _mate(fact, facts)) is not None and draw.chance(0.3):
                facts.remove(mate)
                sentences.append(self._contrast(fact, mate))
                before = None
                continue
            else:
                sentences.append(self._one(fact, before))
            before = fact.entity
            if len(self._facts) > 3 and draw.chance(0.05):
                sentences.append(
                    draw.pick(lexicon()["fillers"]).replace("{E}", self._names[before])
                )
        return " ".join(f"{one[0].upper()}{one[1:]}." for one in sentences)

    def _one(self, fact: _Fact, before: int | None) -> str:
        relation = fact.relation
        if relation.says and self._draw.chance(0.5):
            said = self._draw.pick(relation.says).replace("{V}", fact.value)
            if said.startswith("{E}'s ") and before == fact.entity and self._draw.chance(0.5):
                own = said.removeprefix("{E}'s ")
                return f"{self._pronoun(possessive=True)} {own}"
            return said.replace("{E}", self._names[fact.entity])
        return f"{self._subject(fact.entity, before)} {self._phrase(fact)}"

    def _pair(self, first: _Fact, second: _Fact, before: int | None) -> str:
        both = f"{self._phrase(first)} and {self._phrase(second)}"
        return f"{self._subject(first.entity, before)} {both}"

    def _contrast(self, first: _Fact, second: _Fact) -> str:
        one, other = self._names[first.entity], self._names[second.entity]
        joint = self._draw.pick(
            ("; {B}, however,", ", and {B}", "; {B}, on the other hand,", ", though {B}")
        )
        return f"{one} {self._phrase(first)}{joint.replace('{B}', other)} {self._phrase(second)}"

    def _phrase(self, fact: _Fact) -> str:
        return self._draw.pick(fact.relation.phrases).replace("{V}", fact.value)

    def _subject(self, entity: int, before: int | None) -> str:
        if before != entity or self._draw.chance(0.4):
            return self._names[entity]
        if self._draw.chance(0.3):
            return f"the {self._draw.pick(self._kind.nouns)}"
        return self._pronoun(possessive=False)

    def _pronoun(self, *, possessive: bool) -> str:
        if self._kind.person:
            return "their" if possessive else "they"
        return "its" if possessive else "it"

    def _question(self, fact: _Fact) -> Question:
        draw = self._draw
        choice = draw.below(10)
        if choice < 2 and len(self._names) > 1:
            return Question(self._seek(fact), self._names[fact.entity])
        name = self._reference(fact)
        if choice < 4:
            ended = [one for one in fact.relation.statements if one.endswith("{V}")]
            if ended:
                begun = draw.pick(ended).removesuffix(" {V}").replace("{E}", name)
                return Question(f"{begun[0].upper()}{begun[1:]}", fact.value)
        return Question(self._ask(fact.relation, name), fact.value)

    def _ask(self, relation: Relation, name: str) -> str:
        asked = self._draw.pick(relation.asks).replace("{E}", name)
        return f"{asked[0].upper()}{asked[1:]}"

    def _seek(self, fact: _Fact) -> str:
        """Ask for the entity of a fact."""
        noun = self._draw.pick(self._kind.nouns)
        said = self._phrase(fact)
        return self._draw.pick(
            (f"What {noun} {said}?", f"Which of them {said}?", f"Name the {noun} which {said}.")
        )

    def _reference(self, fact: _Fact) -> str:
        """The name of a fact's entity, or what another fact tells of it."""
        others = [one for one in self._facts if one.entity == fact.entity and one is not fact]
        if others and len(self._names) > 1 and self._draw.chance(0.15):
            noun = self._draw.pick(self._kind.nouns)
            return f"the {noun} which {self._phrase(self._draw.pick(others))}"
        return self._names[fact.entity]

    def _unanswered(self) -> Question:
        entity, relation = self._draw.pick(self._untold)
        return Question(self._ask(relation, self._names[entity]), "")


def _fitting(person: bool) -> Sequence[Relation]:
    return [one for one in relations() if one.people == person]


def _mate(fact: _Fact, others: Sequence[_Fact]) -> _Fact | None:
    """The same relation of another entity."""
    for other in others:
        if other.relation is fact.relation and other.entity != fact.entity:
            return other
    return None
