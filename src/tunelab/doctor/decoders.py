"""Examines data as a decoder will read and learn it, without training."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example, Single
from tunelab.doctor.findings import (
    Finding,
    examine_answers,
    examine_balance,
    examine_choice,
    examine_overlap,
    examine_repeats,
)
from tunelab.doctor.sequences import (
    Reading,
    examine_answer_room,
    examine_lengths,
    examine_seams,
    examine_targets,
)
from tunelab.doctor.sights import Examination, Lengths, SeenToken, Sight
from tunelab.doctor.wording import (
    examine_control,
    examine_copies,
    examine_indentation,
    examine_no_answer,
    readable,
)
from tunelab.errors import TunelabError
from tunelab.prompts.encoded import EncodedExample
from tunelab.prompts.prompter import Prompter
from tunelab.recipe import Recipe, extractive
from tunelab.tuning import text_room


def examine_decoder(
    recipe: Recipe,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    tokenizer: PreTrainedTokenizerBase,
    shots: Sequence[Example],
    shown: int,
) -> Examination:
    """Look at training and test questions; `shown` training questions are laid open.

    Args:
        recipe: says how the model is asked, and how many tokens it reads and writes.
        train: as a run takes them, but with their mistakes left in.
        test: likewise.
        tokenizer: with the reasoning tokens added, where there are any.
        shots: worked examples before every question.
        shown: training questions that are laid open.
    """
    findings = [
        finding
        for part, examples in (("train", train), ("test", test))
        for examine in (examine_answers, examine_repeats, examine_copies, examine_indentation)
        for finding in examine(part, examples)
    ]
    findings += examine_choice(recipe.task)
    findings += examine_overlap(train, test)
    findings += examine_balance(train, test, extractive(recipe.task).version)
    try:
        prompter = Prompter(tokenizer, recipe.prompt, shots)
    except TunelabError as error:
        broken = Finding(name="prompt", severity="error", found=error.problem, remedy=error.hint)
        return Examination(findings=(*findings, broken), sights=())
    findings.append(
        Finding(name="prompt", severity="fact", found=f"the prompt is {prompter.version}.")
    )
    sights: list[Sight] = []
    lengths: list[Lengths] = []
    for part, examples in (("train", train), ("test", test)):
        sound, unreadable = readable(part, examples, prompter)
        readings = read(sound, prompter)
        lengths.append(Lengths.of(part, [len(each.encoded.ids) for each in readings]))
        findings += [
            *unreadable,
            *examine_no_answer(part, sound, prompter),
            *examine_control(part, sound, prompter),
            *examine_lengths(part, readings, text_room(recipe)),
            *examine_targets(part, readings, stops=prompter.stop_ids),
            *examine_seams(part, readings, begin=prompter.begin_id),
            *examine_answer_room(part, readings, max_new_tokens=recipe.evaluation.max_new_tokens),
        ]
        if part == "train":
            sights = [sight(each.example, each.encoded, tokenizer) for each in readings[:shown]]
    return Examination(findings=tuple(findings), sights=tuple(sights), lengths=tuple(lengths))


def read(examples: Sequence[Example], prompter: Prompter) -> list[Reading]:
    """The examples as a decoder reads them, too long ones among them."""
    found = prompter.encode_all(examples, max_length=None)
    merged = {example.id for example in found.seam_mismatches}
    return [
        Reading(example, encoded, prompt_length=length, merged=example.id in merged)
        for example, encoded, length in zip(
            found.examples, found.encoded, found.prompt_lengths, strict=True
        )
    ]


def sight(example: Single, encoded: EncodedExample, tokenizer: PreTrainedTokenizerBase) -> Sight:
    """A sequence with its targets marked; characters that cannot be seen are spelled out."""
    texts = _texts(encoded.ids, tokenizer)
    return Sight(
        id=example.id,
        tokens=tuple(
            SeenToken(text=_visible(text), target=target)
            for text, target in zip(texts, encoded.targets, strict=True)
        ),
        separator="",
    )


def _texts(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What each token adds to the text; the last of several tokens adds their character."""
    texts: list[str] = []
    before = ""
    for end in range(1, len(ids) + 1):
        text = str(tokenizer.decode(list(ids[:end]), clean_up_tokenization_spaces=False))
        if text.endswith("\ufffd") and end < len(ids):
            texts.append("")
            continue
        texts.append(text[len(before) :])
        before = text
    return texts


def _visible(text: str) -> str:
    """Control characters and the like as escapes, so that a text cannot command a terminal."""
    return "".join(
        character
        if character == "\n" or character.isprintable()
        else character.encode("unicode_escape").decode()
        for character in text
    )
