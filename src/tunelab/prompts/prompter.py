"""From an `Example` to the tokens of a decoder: what it is asked, and what it learns to say.

A whole example is tokenised in one piece. Its targets are the tokens behind the prompt up to and
with the one that ends the answer: flags, not ids, so that the end is trained also where the padding
token has the same id. Nothing is ever cut.

It reads no answers; that is `evaluation`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.errors import DataError, ModelError, RecipeError
from tunelab.prompts import chat, plain
from tunelab.prompts.checks import double_start, seam_mismatch, target_start
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.frame import Filled, Frame, Quoted, fill, move_seam
from tunelab.prompts.lexer import Lexer
from tunelab.prompts.reasoning import reasoning_token_ids
from tunelab.recipe import Prompt

_PROBE = Example(id="probe", question="b", context="a", answers=(), group="", article="")
FIRST_CHARACTERS = 'aZ7 ?."(-$é中'
"""Beginnings of answers that the seam and a forced start are tried with."""


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """Many examples, with those that need a word."""

    examples: tuple[Example, ...]
    """Those that fit."""
    encoded: tuple[EncodedExample, ...]
    """Their tokens, in the same order."""
    prompt_lengths: tuple[int, ...]
    """How many tokens their prompts have, read without an answer."""
    too_long: tuple[Example, ...]
    """Left out: longer than the model reads."""
    seam_mismatches: tuple[Example, ...]
    """Those that fit whose prompt's own tokens are not the first tokens of the whole."""


class Prompter:
    """Asks a decoder in one style.

    Args:
        tokenizer: with the reasoning tokens added, where there are any.
        settings: the style.
        shots: worked examples that stand before every question.

    Raises:
        RecipeError: a setting does not belong to the style.
        ModelError: the tokenizer cannot end an answer, or its chat template does not do.
        DataError: a shot cannot be read.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        settings: Prompt,
        shots: Sequence[Example] = (),
    ) -> None:
        self._settings = settings
        self._lexer = Lexer(tokenizer)
        self.no_answer = settings.no_answer or _no_answer(settings)
        """Said of an unanswerable question."""
        worked = [(shot, self.gold(shot)) for shot in shots]
        for shot, answer in worked:
            _check(shot, answer)
        match settings.style:
            case "plain":
                _refuse_chat_settings(settings)
                self._start = self._lexer.start_ids
                self._frame = plain.plain_frame(worked)
            case "chat-json":
                reasoning_token_ids(tokenizer, settings.reasoning_tokens)
                self._start = ()  # the template writes it
                self._frame = chat.chat_frame(
                    tokenizer, settings, lexer=self._lexer, no_answer=self.no_answer, shots=worked
                )
            case never:
                assert_never(never)
        self._end = end_token(self._frame, self._lexer)
        self.begin_id = self._lexer.begin_id
        """Beginning-of-sequence, or None."""
        prompt = self.prompt_ids(_PROBE)
        if any(seam_mismatch(prompt, whole) for whole in self._probes()):
            self._frame = move_seam(self._frame)
        if double_start(self.prompt_ids(_PROBE), self.begin_id):
            raise ModelError(
                f"Prompts would begin with '{tokenizer.bos_token}' twice.",
                hint="Take one out of the chat template of the tokenizer.",
            )
        end = self._lexer.end_id
        self.stop_ids = frozenset({self._end} if end is None else {self._end, end})
        """Tokens that end an answer: the template's end of turn, and end-of-sequence."""
        pad = self._lexer.pad_id
        self.pad_id = self._end if pad is None else pad
        """Fills a rectangle; it is never seen nor trained, so that any token will do."""
        self.forced_start, self.forced_ids = self._find_forced_start()

    @property
    def version(self) -> str:
        """Names the wording: whoever changes the wording raises it."""
        return self._frame.version

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """Texts behind which an answer is over, for a model that was not tuned to stop."""
        return self._frame.stop_texts

    @property
    def opening(self) -> str:
        """What every target begins with, before the answer's own text."""
        return self._frame.opening

    @property
    def ending(self) -> str:
        """What every target ends with, behind the answer's own text."""
        return self._frame.ending

    def gold(self, example: Example) -> str:
        """The answer that is trained: the first gold answer, or the no-answer word."""
        return example.gold[0] if example.answers else self.no_answer

    def target_text(self, answer: str) -> str:
        """What the model is to say for an answer."""
        written = chat.write_json(answer) if self._settings.style == "chat-json" else answer
        return self._frame.opening + written + self._frame.ending

    def quotes_control(self, example: Example) -> bool:
        """Whether a context or question holds the text of a control token; it is kept as text."""
        return any(map(self._lexer.quotes_control, (example.context, example.question)))

    def check(self, example: Example) -> None:
        """An example can be asked and learnt.

        Raises:
            DataError: its trained answer is empty, or a text of it is no text.
        """
        _check(example, self.gold(example))

    def prompt_ids(self, example: Example) -> tuple[int, ...]:
        """The tokens that generation starts from."""
        return self.prompts_of([example])[0]

    def prompts_of(self, examples: Sequence[Example]) -> list[tuple[int, ...]]:
        """The tokens that generation starts from, of many."""
        return self._read([self._prompt(example) for example in examples])

    def encode(self, example: Example) -> EncodedExample:
        """Prompt and trained answer."""
        return self.answer_ids(example, self.gold(example))

    def answer_ids(self, example: Example, answer: str) -> EncodedExample:
        """Prompt and any answer, as if it were the trained one."""
        [prompt], [whole] = self.prompts_of([example]), self._wholes([(example, answer)])
        return _encoded(prompt, whole)

    def text_ids(self, text: str) -> EncodedExample:
        """A text without any prompt, nothing of it a control token.

        It stands behind beginning-of-sequence, or else the token that ends an answer, so that all
        of it is a target.
        """
        before = self._end if self.begin_id is None else self.begin_id
        [ids] = self._lexer.read([(Quoted(text),)])
        return EncodedExample(ids=(before, *ids), targets=(False, *(True for _ in ids)))

    def encode_all(self, examples: Sequence[Example], *, max_length: int | None) -> EncodedSet:
        """Prompt and trained answer of many; those longer than `max_length` are set apart."""
        prompts = self.prompts_of(examples)
        wholes = self._wholes([(example, self.gold(example)) for example in examples])
        fitting = [
            index
            for index, whole in enumerate(wholes)
            if max_length is None or len(whole) <= max_length
        ]
        left_out = set(range(len(examples))).difference(fitting)
        return EncodedSet(
            examples=tuple(examples[i] for i in fitting),
            encoded=tuple(_encoded(prompts[i], wholes[i]) for i in fitting),
            prompt_lengths=tuple(len(prompts[i]) for i in fitting),
            too_long=tuple(examples[i] for i in sorted(left_out)),
            seam_mismatches=tuple(
                examples[i] for i in fitting if seam_mismatch(prompts[i], wholes[i])
            ),
        )

    def _prompt(self, example: Example) -> Filled:
        _check(example)
        return fill(self._frame.prompt, example)

    def _wholes(self, answered: Sequence[tuple[Example, str]]) -> list[tuple[int, ...]]:
        """The tokens of whole examples."""
        texts: list[Filled] = []
        for example, answer in answered:
            _check(example, answer)
            target = Quoted(self.target_text(answer))
            texts.append((*self._prompt(example), target, self._frame.closing))
        end = () if self._frame.closing else (self._end,)
        return [ids + end for ids in self._read(texts)]

    def _read(self, texts: Sequence[Filled]) -> list[tuple[int, ...]]:
        return [self._start + ids for ids in self._lexer.read(texts)]

    def _probes(self) -> list[tuple[int, ...]]:
        """One question with answers that begin in many ways."""
        answers = [self.no_answer, *(first + "b" for first in FIRST_CHARACTERS)]
        return self._wholes([(_PROBE, answer) for answer in answers])

    def _find_forced_start(self) -> tuple[str, tuple[int, ...]]:
        """The longest part of the opening whose tokens every answer begins with, and they."""
        prompt = self._prompt(_PROBE)
        start = len(self.prompt_ids(_PROBE))
        wholes = self._probes()
        openings = [self.opening[:end] for end in range(len(self.opening), 0, -1)]
        started = self._read([(*prompt, Quoted(opening)) for opening in openings])
        for opening, ids in zip(openings, started, strict=True):
            if len(ids) > start and all(whole[: len(ids)] == ids for whole in wholes):
                return opening, ids[start:]
        return "", ()


def _encoded(prompt: Sequence[int], whole: tuple[int, ...]) -> EncodedExample:
    start = target_start(prompt, whole)
    return EncodedExample(ids=whole, targets=tuple(i >= start for i in range(len(whole))))


def end_token(frame: Frame, lexer: Lexer) -> int:
    """The token that ends an answer: the template's end of turn, else end-of-sequence."""
    if frame.closing:
        return lexer.token_id(lexer.split(frame.closing)[1])
    if lexer.end_id is None:
        raise ModelError(
            "The tokenizer has no end-of-sequence token: a model could not learn to stop.",
            hint="Name one of its tokens as eos_token in tokenizer_config.json.",
        )
    return lexer.end_id


def _refuse_chat_settings(settings: Prompt) -> None:
    """The plain style has one turn, no roles, and nothing between question and answer."""
    chosen = settings.model_dump(exclude_defaults=True)
    if wrong := sorted(chosen.keys() & {"turns", "system", "reasoning_tokens"}):
        raise RecipeError(
            f"prompt.{wrong[0]} is set, but prompt.style=plain has nothing of the kind.",
            hint=f"Say prompt.style=chat-json, or leave prompt.{wrong[0]} out.",
        )


def _no_answer(settings: Prompt) -> str:
    match settings.style:
        case "plain":
            return plain.NO_ANSWER
        case "chat-json":
            return chat.NO_ANSWER
        case never:
            assert_never(never)


def _check(example: Example, answer: str | None = None) -> None:
    """Nothing in an example, nor in an answer to it, keeps it from being tokenised."""
    if answer is not None and not answer.strip():
        raise DataError(
            f"Question '{example.id}' has an empty answer: there is nothing to learn.",
            hint="A question without an answer has an empty list of answers.",
        )
    texts = {"context": example.context, "question": example.question, "answer": answer or ""}
    for part, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"U+{ord(text[error.start]):04X}, character {error.start}"
            raise DataError(
                f"Question '{example.id}': its {part} has half a surrogate pair ({half}), which "
                "is no character.",
                hint="Write the file again as UTF-8, with whole characters.",
            ) from error
