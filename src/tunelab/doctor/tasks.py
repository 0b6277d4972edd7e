"""Examines the data of tasks other than SQuAD as a decoder will read and learn them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from transformers import PreTrainedTokenizerBase

from tunelab.data import (
    Conversation,
    ItemT,
    TaskData,
    load_choices,
    load_text,
    load_written,
)
from tunelab.doctor.decoders import sight
from tunelab.doctor.findings import Finding, examine_choice, fact, listed
from tunelab.doctor.sequences import (
    Reading,
    examine_lengths,
    examine_seams,
    examine_targets,
)
from tunelab.doctor.sights import Examination, Sight
from tunelab.errors import TunelabError
from tunelab.prompts.choices import ChoicePrompter, losses_note
from tunelab.prompts.rolling import RollingReader
from tunelab.prompts.turns import EncodedTurns, TurnsPrompter
from tunelab.recipe import (
    AnyChoiceTask,
    AnyWrittenTask,
    ArcTask,
    ChatTask,
    FurtherTask,
    HellaswagTask,
    MmluTask,
    PubmedqaTask,
    Recipe,
    TextQaTask,
    TextTask,
    TruthfulqaTask,
)
from tunelab.tuning import text_room


def examine_task(
    recipe: Recipe, task: FurtherTask, *, tokenizer: PreTrainedTokenizerBase, shown: int
) -> Examination:
    """Look at training and test data; `shown` training examples are laid open.

    Raises:
        DataError, RecipeError: a source cannot be read at all.
    """
    match task:
        case ChatTask() | TextQaTask():
            return _conversations(recipe, task, tokenizer, shown)
        case PubmedqaTask() | MmluTask() | ArcTask() | HellaswagTask() | TruthfulqaTask():
            return _choices(recipe, task, tokenizer, shown)
        case TextTask():
            return _text(recipe, task, tokenizer, shown)
        case _:
            assert_never(task)


def _conversations(
    recipe: Recipe, task: AnyWrittenTask, tokenizer: PreTrainedTokenizerBase, shown: int
) -> Examination:
    lenient = task.model_copy(update={"bad_rows": "leave-out"})
    data = load_written(lenient, training=bool(task.train))
    findings = [_note(note, task) for note in data.notes]
    findings += examine_choice(task)
    try:
        prompter = TurnsPrompter(tokenizer, task.template)
    except TunelabError as error:
        broken = Finding(name="prompt", severity="error", found=error.problem, remedy=error.hint)
        return Examination(findings=(*findings, broken), sights=())
    findings.append(fact("prompt", f"the prompt is {prompter.version}."))
    readings: dict[str, list[Reading]] = {}
    for part, examples in _parts(data):
        encoded = [prompter.encode(example) for example in examples]
        readings[part] = [
            Reading(each, turns.whole, prompt_length=turns.first_prompt, merged=turns.merged)
            for each, turns in zip(examples, encoded, strict=True)
        ]
        findings += [
            *examine_lengths(part, readings[part], text_room(recipe)),
            *examine_targets(part, readings[part], stops=prompter.stop_ids),
            *examine_seams(part, readings[part], begin=prompter.begin_id),
            *_reply_room(part, examples, encoded, recipe.evaluation.max_new_tokens),
            *_both_sides(part, examples, prompter),
        ]
    sights = _seen(next(iter(readings.values()))[:shown], tokenizer)
    return Examination(findings=tuple(findings), sights=tuple(sights))


def _choices(
    recipe: Recipe, task: AnyChoiceTask, tokenizer: PreTrainedTokenizerBase, shown: int
) -> Examination:
    data = load_choices(task)
    longest = text_room(recipe)
    prompter = ChoicePrompter(tokenizer, task, data.shots, max_length=longest)
    end = prompter.lexer.end_id
    findings = [fact("split", note) for note in data.notes]
    sights: list[Sight] = []
    for part, examples in _parts(data):
        fitted = prompter.answers(examples)
        readings = [
            Reading(examples[index], whole, whole.targets.index(True), merged=False)
            for index in fitted.kept
            for whole in fitted.encoded[index]
        ]
        findings += examine_lengths(part, readings, longest)
        findings += examine_targets(part, readings, stops=() if end is None else (end,))
        if told := losses_note(fitted.losses, of=len(examples), name=part, longest=longest):
            remedy = "Raise model.max_length, if the model reads so many, or lower task.shots."
            findings.append(Finding(name="cut", severity="warning", found=told, remedy=remedy))
        sights = sights or _seen(readings[:shown], tokenizer)
    return Examination(findings=tuple(findings), sights=tuple(sights))


def _text(
    recipe: Recipe, task: TextTask, tokenizer: PreTrainedTokenizerBase, shown: int
) -> Examination:
    data = load_text(task, training=bool(task.train))
    window = min(task.window, text_room(recipe))
    rolling = RollingReader(tokenizer, window=window, overlap=task.overlap)
    findings = [fact("split", note) for note in data.notes]
    sights: list[Sight] = []
    for part, passages in _parts(data):
        windows = [(text, each) for text in passages for each in rolling.windows(text.text)]
        scored = sum(sum(each.targets) for _, each in windows)
        told = f"{part}: {len(passages)} texts in {len(windows)} windows, {scored} tokens scored."
        findings.append(fact("windows", told))
        sights = sights or [sight(text, each, tokenizer) for text, each in windows[:shown]]
    return Examination(findings=tuple(findings), sights=tuple(sights))


def _seen(readings: Sequence[Reading], tokenizer: PreTrainedTokenizerBase) -> list[Sight]:
    return [sight(each.example, each.encoded, tokenizer) for each in readings]


def _parts(data: TaskData[ItemT]) -> list[tuple[str, list[ItemT]]]:
    """Training and test examples, as far as there are any."""
    parts = (("train", data.train), ("test", data.test))
    return [(name, examples) for name, examples in parts if examples]


def _note(note: str, task: AnyWrittenTask) -> Finding:
    if "cannot be read" not in note:
        return fact("split", note)
    return Finding(
        name="rows",
        severity="error" if task.bad_rows == "refuse" else "warning",
        found=note,
        remedy="Mend or remove them; task.bad_rows=leave-out trains without them.",
    )


def _reply_room(
    part: str, examples: Sequence[Conversation], encoded: Sequence[EncodedTurns], limit: int
) -> list[Finding]:
    """Last replies that are longer than what is written."""
    lasts = [len(turns.whole.ids) - turns.prompt_length for turns in encoded]
    long = [example for example, last in zip(examples, lasts, strict=True) if last > limit]
    if not long:
        return [fact("reply room", f"{part}: every last reply fits the {limit} tokens written.")]
    return [
        Finding(
            name="reply room",
            severity="warning",
            found=f"{part}: {len(long)} last replies with their end are longer than the {limit} "
            "tokens that are written: a perfect model would be broken off, and count as unended.",
            remedy=f"Raise evaluation.max_new_tokens, up to {max(lasts)}.",
            ids=listed(long),
        )
    ]


def _both_sides(
    part: str, examples: Sequence[Conversation], prompter: TurnsPrompter
) -> list[Finding]:
    """Replies of the data that hold the user's turn: a model learns what it is shown."""
    marked = [e for e in examples if any(map(prompter.takes_both_sides, e.replies))]
    if not marked:
        return []
    return [
        Finding(
            name="both sides",
            severity="warning",
            found=f"{part}: in {len(marked)} rows a reply goes on with the user's turn (a line "
            "such as `User:`): a model that is tuned on them learns to write both sides.",
            remedy="Part such rows into turns, or remove them.",
            ids=listed(marked),
        )
    ]
