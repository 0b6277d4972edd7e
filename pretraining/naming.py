"""Names and values for the pretraining text; none of them is a name of `reading`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

from tunelab.data.reading.draw import Draw
from tunelab.data.reading.names import Names, words

_SORTS = (
    "region", "place", "surname", "river", "vessel", "emblem", "feminine", "masculine",
)  # fmt: skip

_LENGTHS = ("metres", "feet", "yards", "paces", "miles")
_COINS = ("crowns", "pounds", "florins", "ducats", "marks")


@cache
def reading_names(*, new: bool) -> frozenset[str]:
    """Every name of `reading`: those of its training, or those held out."""
    return frozenset(word for sort in _SORTS for _, word in words(sort, new=new))


@cache
def _lists() -> Mapping[str, tuple[str, ...]]:
    text = (Path(__file__).parent / "names.toml").read_text("utf-8")
    table = tomllib.loads(text)
    taken = reading_names(new=False) | reading_names(new=True)
    return {
        sort: tuple(dict.fromkeys(word for word in listed if word == "" or word not in taken))
        for sort, listed in table.items()
    }


class Naming:
    """Makes the names and values of one document, all different."""

    def __init__(self, draw: Draw, *, coined: float) -> None:
        """`coined`: how often a name is made of syllables rather than taken from the lists."""
        self._draw = draw
        self._coined = coined
        self._used: set[str] = set()

    def name(self, form: str) -> str:
        """A name for an entity; `form` as in the kinds of lexicon.toml."""
        return self._fresh(f"entity {form}")

    def value(self, sort: str) -> str:
        """A value of a sort."""
        return self._fresh(sort)

    def _fresh(self, sort: str) -> str:
        while True:
            text = self._make(sort)
            core = text.removeprefix("the ").removeprefix("Mount ").split()[0].casefold()
            if core not in self._used and not _of_reading(text):
                self._used.add(core)
                return text

    def _make(self, sort: str) -> str:
        draw = self._draw
        match sort.split():
            case ["year"]:
                return str(1500 + draw.below(500))
            case ["count"]:
                return _amount(draw)
            case ["metres"]:
                return f"{_amount(draw)} {draw.pick(_LENGTHS)}"
            case ["money"]:
                return f"{_amount(draw)} {draw.pick(_COINS)}"
            case ["person"] | ["entity", "person"]:
                first = self._word("first_m" if draw.chance(0.5) else "first_f")
                return f"{first} {self._word('surname')}"
            case ["place"]:
                return self._place()
            case ["river"]:
                return f"the {self._word_coined()}"
            case ["prize"]:
                return f"the {self._word('surname')} {self._pick('prize_tail')}"
            case ["house"]:
                return f"{self._place()} House"
            case ["entity", "titled", tail]:
                return f"the {self._pick('adjective')} {self._pick('thing')} {tail}"
            case ["entity", "placed", tail]:
                return f"{self._place()} {tail}"
            case ["entity", "Mount"]:
                return f"Mount {self._word('surname')}"
            case ["entity", "surnamed", tail]:
                return f"{self._word('surname')} {tail}"
            case ["entity", "emblem"]:
                return f"{self._pick('adjective')} {self._pick('thing')}"
            case ["entity", "the", "emblem"]:
                return f"the {self._pick('adjective')} {self._pick('thing')}"
            case ["entity", "the", "coined"]:
                return f"the {self._word_coined()}"
            case ["entity", "coined", *tail]:
                return " ".join([self._word_coined(), *tail])
            case _:
                return self._pick(sort)

    def _pick(self, sort: str) -> str:
        return self._draw.pick(_lists()[sort])

    def _word(self, sort: str) -> str:
        return self._word_coined() if self._draw.chance(self._coined) else self._pick(sort)

    def _place(self) -> str:
        if self._draw.chance(self._coined):
            return self._word_coined() + self._draw.pick(("", self._pick("place_tail")))
        return self._pick("place_head") + self._pick("place_tail")

    def _word_coined(self) -> str:
        return coin(self._draw)


class MixedNames(Names):
    """The names of `reading`'s training, and nearly as many that are coined.

    A name that a model has read often is one token to it, and one that it has not is several; so it
    must learn to tell those apart, too, and to copy them whole.
    """

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw, new=False)
        self._dice = draw

    def word(self, sort: str) -> str:
        """A word of a sort, or one that is no word at all."""
        while self._dice.chance(0.4):
            word = coin(self._dice)
            if not _of_reading(word) and self.begins_anew(word[:3]):
                return word
        return super().word(sort)


def coin(draw: Draw) -> str:
    """A word of two or three syllables."""
    lists = _lists()
    syllables = 2 + draw.chance(0.3)
    parts = [draw.pick(lists["onset"]) + draw.pick(lists["vowel"]) for _ in range(syllables)]
    return ("".join(parts) + draw.pick(lists["coda"])).capitalize()


def _of_reading(text: str) -> bool:
    """Whether a name of `reading` is a word of the text, or two."""
    parts = text.split()
    pairs = [" ".join(pair) for pair in pairwise(parts)]
    return any(not reading_names(new=new).isdisjoint((*parts, *pairs)) for new in (False, True))


def _amount(draw: Draw) -> str:
    """A number up to a few thousand, or a large round one."""
    match draw.below(4):
        case 0:
            return f"{10 * (100 + draw.below(900)):,}"
        case 1:
            return f"{100 * (100 + draw.below(900)):,}"
        case _:
            return str(2 + draw.below(998))
