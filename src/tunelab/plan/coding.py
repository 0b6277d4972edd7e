"""From examples to rows, for each family of models: as a run does it, or by their length alone.

Where there is a tokenizer, it is the run's own prompts and windows that are made. Where there is
none (a checkpoint that cannot be read here), a token is taken to be four characters, which is said
wherever the figures stand.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeVar

from transformers import PreTrainedTokenizerBase

from tunelab.data import ChoiceExample, Example, Shots
from tunelab.plan.kinds import plannable
from tunelab.prompts.choices import ChoicePrompter, said, trained
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.pairs import encode_pairs
from tunelab.prompts.passes import cut_passes
from tunelab.prompts.prompter import Prompter
from tunelab.prompts.windows import Window, encode_windows
from tunelab.recipe import AnyChoiceTask, Model, Recipe, SquadTask, Training
from tunelab.tokentree.packing import one_by_one, pack
from tunelab.tokentree.tree import TokenTree
from tunelab.training.objective import Together

Item = Example | ChoiceExample
ItemT = TypeVar("ItemT", bound=Item)
CHARACTERS = 4
"""Of English text a token, for the tokenizers of the models that ship here."""
_WORDING = {"plain": 12, "chat-json": 90}
"""Tokens of a prompt besides the texts of its question."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A pass of an encoder: B rows of L tokens, padding included."""

    rows: int
    length: int

    @property
    def tokens(self) -> int:
        """Positions."""
        return self.rows * self.length


class Coder(Protocol):
    """Makes tokens of examples and rows of tokens."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the rows rest on."""
        ...

    def together(self, settings: Training) -> Together:
        """What the order of an epoch keeps together."""
        ...

    def training(self, examples: Sequence[Item]) -> dict[int, Any]:
        """Identity of an example -> what is trained on; those that are left out are missing."""
        ...

    def asking(self, examples: Sequence[Item]) -> list[Any]:
        """What is answered."""
        ...

    def lay_out(self, encoded: Sequence[Any], *, tokens_per_pass: int) -> list[Any]:
        """The passes of a step, the largest first."""
        ...

    def length(self, encoded: Any) -> int:
        """Tokens of an example, counted whole."""
        ...

    def sample(self, encoded: Sequence[Any], /) -> tuple[EncodedExample, ...]:
        """What a decoder proves on that sharing changes nothing."""
        ...

    def branches(self, laid: Any, /) -> int:
        """Answers that are written side by side."""
        ...


def text_length(item: Item) -> int:
    """Characters that are read."""
    return len(item.context) + len(item.question)


@dataclass(frozen=True, slots=True)
class TreeCoder:
    """Of decoders."""

    reading: DecoderReading
    share: bool
    notes: tuple[str, ...] = ()

    def together(self, settings: Training) -> Together:
        """As `AnswerObjective` says."""
        return settings.together or ("all" if self.share else 1)

    def training(self, examples: Sequence[Item]) -> dict[int, EncodedExample]:
        """Prompts with their answers."""
        found = self.reading.answers(examples)
        return {id(each): one for each, one in zip(examples, found, strict=True) if one is not None}

    def asking(self, examples: Sequence[Item]) -> list[EncodedExample]:
        """Prompts, or prompts with each of their given answers."""
        return self.reading.prompts(examples)

    def lay_out(
        self, encoded: Sequence[EncodedExample], *, tokens_per_pass: int
    ) -> list[TokenTree]:
        """Trees, packed into rows."""
        rows = pack(encoded, tokens_per_pass=tokens_per_pass) if self.share else one_by_one(encoded)
        return [row.tree for row in rows]

    def length(self, encoded: EncodedExample) -> int:
        """All of it."""
        return len(encoded.ids)

    def sample(self, encoded: Sequence[EncodedExample]) -> tuple[EncodedExample, ...]:
        """The first ones, if anything is shared."""
        return tuple(encoded) if self.share else ()

    def branches(self, laid: TokenTree) -> int:
        """One a leaf where answers are written."""
        return len(laid.leaves) if self.reading.writes else 0


@dataclass(frozen=True, slots=True)
class WindowCoder:
    """Of encoders: a list of windows for each example."""

    reading: EncoderReading
    notes: tuple[str, ...] = ()

    def together(self, settings: Training) -> Together:
        """Encoders share no prefix."""
        return settings.together or 1

    def training(self, examples: Sequence[Item]) -> dict[int, list[Window]]:
        """The windows of each."""
        return {
            id(examples[index]): list(rows)
            for index, rows in groupby(self.reading.windows(examples), key=lambda w: w.example)
        }

    def asking(self, examples: Sequence[Item]) -> list[list[Window]]:
        """Likewise."""
        return list(self.training(examples).values())

    def lay_out(self, encoded: Sequence[list[Window]], *, tokens_per_pass: int) -> list[Rectangle]:
        """Rectangles of windows of about one length."""
        windows = [window for rows in encoded for window in rows]
        return [
            Rectangle(len(members), max(len(each.input_ids) for each in members))
            for members in cut_passes(windows, tokens_per_pass=tokens_per_pass)
        ]

    def length(self, encoded: list[Window]) -> int:
        """Of all its windows."""
        return sum(len(window.input_ids) for window in encoded)

    def sample(self, _encoded: Sequence[list[Window]]) -> tuple[EncodedExample, ...]:
        """Nothing is proven."""
        return ()

    def branches(self, _laid: Rectangle) -> int:
        """Nothing is written."""
        return 0


class DecoderReading(Protocol):
    """Examples as sequences."""

    @property
    def writes(self) -> bool:
        """Whether answers are written, not weighed."""
        ...

    def answers(self, examples: Sequence[Item]) -> list[EncodedExample | None]:
        """What is trained on; None for one that is left out."""
        ...

    def prompts(self, examples: Sequence[Item]) -> list[EncodedExample]:
        """What is asked."""
        ...


class EncoderReading(Protocol):
    """Examples as windows."""

    def windows(self, examples: Sequence[Item]) -> list[Window]:
        """In order."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions on a text, with the run's own prompts."""

    prompter: Prompter
    longest: int
    writes: bool = True

    def answers(self, examples: Sequence[Any]) -> list[EncodedExample | None]:
        """As a run trains them."""
        found = self.prompter.encode_all(examples, max_length=None)
        return [each if len(each.ids) <= self.longest else None for each in found.encoded]

    def prompts(self, examples: Sequence[Any]) -> list[EncodedExample]:
        """Up to where the answer begins."""
        return [_whole(ids) for ids in self.prompter.prompts_of(examples)]


@dataclass(frozen=True, slots=True)
class Weighed:
    """Questions with given answers, with the run's own prompts."""

    tokenizer: PreTrainedTokenizerBase
    task: AnyChoiceTask
    shots: Shots
    longest: int
    writes: bool = False

    def answers(self, examples: Sequence[Any]) -> list[EncodedExample | None]:
        """As a run trains them."""
        return [each[0] if each else None for each in self._prompter.answers(examples).encoded]

    def prompts(self, examples: Sequence[Any]) -> list[EncodedExample]:
        """Every choice of every question."""
        found = self._prompter.choices(examples)
        return [choice for choices in found.encoded for choice in choices]

    @property
    def _prompter(self) -> ChoicePrompter:
        return ChoicePrompter(self.tokenizer, self.task, self.shots, max_length=self.longest)


@dataclass(frozen=True, slots=True)
class Estimated:
    """Either, by the length of the texts."""

    recipe: Recipe
    shots: int
    writes: bool

    def answers(self, examples: Sequence[Item]) -> list[EncodedExample | None]:
        """The right answer behind the prompt."""
        found = [self._encoded(each, _answer(self.recipe, each)) for each in examples]
        longest = self.recipe.model.max_length
        return [each if len(each.ids) <= longest else None for each in found]

    def prompts(self, examples: Sequence[Item]) -> list[EncodedExample]:
        """The prompt, or every choice behind it."""
        task = plannable(self.recipe.task)
        return [
            self._encoded(each, answer)
            for each in examples
            for answer in (
                said(task, each)
                if isinstance(each, ChoiceExample) and not isinstance(task, SquadTask)
                else ("",)
            )
        ]

    def _encoded(self, example: Item, answer: str) -> EncodedExample:
        wording = tuple(range(1, _WORDING[self.recipe.prompt.style] + 1))
        shown = tuple(range(1000, 1000 + self.shots * -(-text_length(example) // CHARACTERS)))
        prompt = wording + shown + _pieces(example.context) + _pieces(example.question)
        target = (*_pieces(answer), 0)
        return EncodedExample(prompt + target, (False,) * len(prompt) + (True,) * len(target))


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of a real tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    settings: Model

    def windows(self, examples: Sequence[Any]) -> list[Window]:
        """As a run cuts them."""
        if examples and isinstance(examples[0], ChoiceExample):
            return encode_pairs(examples, self.tokenizer, self.settings)[0]
        return encode_windows(examples, self.tokenizer, self.settings)


@dataclass(frozen=True, slots=True)
class EstimatedWindows:
    """Windows by the length of the texts."""

    settings: Model

    def windows(self, examples: Sequence[Item]) -> list[Window]:
        """One for each stretch of the context."""
        return [
            _blank(index, size)
            for index, example in enumerate(examples)
            for size in self._sizes(example)
        ]

    def _sizes(self, example: Item) -> list[int]:
        question = 3 + len(example.question) // CHARACTERS
        context = -(-len(example.context) // CHARACTERS)
        room = max(1, self.settings.max_length - question)
        sizes = [question + min(context, room)]
        while context > room and isinstance(example, Example):
            context -= max(1, room - self.settings.stride)
            sizes.append(question + min(context, room))
        return sizes


def _answer(recipe: Recipe, example: Item) -> str:
    task = plannable(recipe.task)
    if isinstance(example, ChoiceExample):
        assert not isinstance(task, SquadTask)
        return trained(task, example)
    opening = '```json {"answer": "" } ```' if recipe.prompt.style == "chat-json" else ""
    return opening + (example.gold[0] if example.answers else "unknown")


def _pieces(text: str) -> tuple[int, ...]:
    """One number for each four characters; equal texts give equal numbers."""
    cut = (text[start : start + CHARACTERS] for start in range(0, len(text), CHARACTERS))
    return tuple(zlib.crc32(piece.encode("utf-8", "replace")) for piece in cut)


def _whole(ids: Sequence[int]) -> EncodedExample:
    return EncodedExample(tuple(ids), (False,) * len(ids))


def _blank(example: int, size: int) -> Window:
    return Window(
        example=example,
        input_ids=[0] * size,
        token_type_ids=[0] * size,
        context_start=0,
        offsets=[],
        null_position=0,
        target=(0, 0),
    )
