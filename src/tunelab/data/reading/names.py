"""Names and values: invented words, common words, years and amounts.

Within one paragraph no value's words occur inside another's and no two invented words begin alike,
so that a value belongs to one fact of one entity. Names come from the words of training or from
those held out, never from both.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

from tunelab.data.reading.draw import Draw, held_out
from tunelab.data.reading.kinds import Fact, read_table

Pronouns = tuple[str, str, str]
"""Subject, possessive, object: it, its, it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text, and the shorter texts inside it that name the same thing."""

    text: str
    variants: tuple[str, ...] = ()
    pronouns: Pronouns = ("it", "its", "it")


class Names:
    """Makes the names and values of one paragraph, all different."""

    def __init__(self, draw: Draw, *, new: bool) -> None:
        self._draw = draw
        self._new = new
        self._texts: set[str] = set()
        self._heads: set[str] = set()

    def value(self, fact: Fact, era: int) -> Value:
        """A value for a fact of an entity that began in the year `era`."""
        start = era if fact.type == "year" else 0
        return self._fresh(fact.type, start + fact.low, start + fact.high)

    def entity(self, name_type: str) -> Value:
        """A name for an entity."""
        return self._fresh(name_type, 0, 0)

    def _fresh(self, sort: str, low: int, high: int) -> Value:
        while True:
            value = self._make(sort, low, high)
            texts = [value.text, *value.variants]
            core = f" {min(texts, key=len).casefold()} "
            if not any(core in text or text in core for text in self._texts):
                self._texts.add(core)
                return value

    def _make(self, sort: str, low: int, high: int) -> Value:
        draw = self._draw
        match sort:
            case "year":
                return Value(str(low + draw.below(high - low)))
            case "count":
                return Value(f"{_round(low + draw.below(high - low)):,}")
            case "metres" | "crowns":
                amount = f"{_round(low + draw.below(high - low)):,}"
                return Value(f"{amount} {sort}", (amount,))
            case "person":
                return self._person()
            case "place":
                return Value(self.word("place"))
            case "river":
                word = self.word("river")
                text = draw.pick((f"the river {word}", f"the {word}", f"the {word} River"))
                return Value(text, tuple(dict.fromkeys((text.removeprefix("the "), word))))
            case "ship":
                word = self.word("vessel" if draw.chance(0.3) else "emblem")
                return Value(f"the {word}", (word,))
            case "company":
                return Value(self._company())
            case "bridge":
                return self._titled("place", "Bridge")
            case "lighthouse":
                return self._titled("place", "Lighthouse")
            case "expedition":
                return self._titled("surname", "expedition")
            case "festival" | "prize":
                return self._titled("surname", draw.pick(_table()["forms"][sort]))
            case _:
                return Value(draw.pick(_table()["lists"][sort]))

    def _person(self) -> Value:
        gender = "feminine" if self._draw.chance(0.5) else "masculine"
        surname = self.word("surname")
        she, her, him = _table()["pronouns"]["she" if gender == "feminine" else "he"]
        return Value(f"{self.word(gender)} {surname}", (surname,), (she, her, him))

    def _company(self) -> str:
        if self._draw.chance(0.3):
            return f"{self.word('surname')} & {self.word('surname')}"
        return f"{self.word('place')} {self._draw.pick(_table()['forms']['company'])}"

    def _titled(self, sort: str, form: str) -> Value:
        name = f"{self.word(sort)} {form}"
        return Value(f"the {name}", (name,))

    def word(self, sort: str) -> str:
        """A word of a sort that begins unlike all before it."""
        while True:
            head, word = self._draw.pick(words(sort, new=self._new))
            if self.begins_anew(head):
                return word

    def begins_anew(self, head: str) -> bool:
        """Whether no word has begun like this; from now on one has."""
        fresh = head not in self._heads
        self._heads.add(head)
        return fresh


@cache
def words(sort: str, *, new: bool) -> tuple[tuple[str, str], ...]:
    """Every word of a sort with its first part, either those of training or those held out."""
    parts = _table()["sorts"][sort]
    every = ((combo[0], "".join(combo)) for combo in itertools.product(*parts))
    return tuple((head, word) for head, word in every if held_out(word) == new)


@cache
def _table() -> Any:
    return read_table("words.toml")


def _round(amount: int) -> int:
    """Large amounts are known to three figures only."""
    step = 10 ** max(len(str(amount)) - 3, 0)
    return amount // step * step
