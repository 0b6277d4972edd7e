"""Examines PubMedQA as an encoder with a head of three classes will read and learn it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from tunelab.data import ChoiceExample, load_choices
from tunelab.doctor.findings import Finding, fact
from tunelab.doctor.sights import Examination, Lengths, SeenToken, Sight
from tunelab.errors import DataError
from tunelab.prompts.pairs import encode_pairs
from tunelab.prompts.windows import Window
from tunelab.recipe import Model, PubmedqaTask, Recipe


def examine_classifier(
    recipe: Recipe, task: PubmedqaTask, *, tokenizer: PreTrainedTokenizerBase, shown: int
) -> Examination:
    """Look at training and test questions; `shown` training questions are laid open."""
    data = load_choices(task)
    findings = [fact("split", note) for note in data.notes]
    lengths: list[Lengths] = []
    sights: list[Sight] = []
    for part, examples in (("train", data.train), ("test", data.test)):
        if not examples:
            continue
        findings.append(_classes(part, examples))
        try:
            rows, shortened = encode_pairs(examples, tokenizer, recipe.model)
        except DataError as error:
            findings.append(
                Finding(name="room", severity="error", found=error.problem, remedy=error.hint)
            )
            continue
        counted = [len(row.input_ids) for row in rows]
        lengths.append(Lengths.of(part, counted))
        findings.append(_lengths(part, counted, shortened, recipe.model))
        sights = sights or [_sight(examples[row.example], row, tokenizer) for row in rows[:shown]]
    return Examination(findings=tuple(findings), sights=tuple(sights), lengths=tuple(lengths))


def _classes(part: str, examples: Sequence[ChoiceExample]) -> Finding:
    """How often each class is right; one that is not there cannot be learnt."""
    counts = Counter(example.choices[example.answer] for example in examples)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    missing = sorted({choice for each in examples for choice in each.choices} - counts.keys())
    if part == "train" and missing:
        return Finding(
            name="classes",
            severity="warning",
            found=f"{part}: {told}; never {' or '.join(missing)}, which cannot be learnt.",
            remedy="Raise task.train_limit, or take other training questions.",
        )
    return fact("classes", f"{part}: {told}.")


def _lengths(part: str, counted: Sequence[int], shortened: int, settings: Model) -> Finding:
    ordered = sorted(counted)
    found = (
        f"{part}: {len(ordered)} questions with their abstracts, median "
        f"{ordered[len(ordered) // 2]} tokens, longest {ordered[-1]}, of {settings.max_length} "
        "that the model reads."
    )
    if not shortened:
        return fact("lengths", found)
    return Finding(
        name="lengths",
        severity="warning",
        found=f"{found} {shortened} abstracts lose their end (never the question).",
        remedy="Raise model.max_length, if the model reads more.",
    )


def _sight(example: ChoiceExample, row: Window, tokenizer: PreTrainedTokenizerBase) -> Sight:
    """The row, and behind it the class that is learnt."""
    tokens = tokenizer.convert_ids_to_tokens(row.input_ids)
    seen = [SeenToken(text=str(token), target=False) for token in tokens]
    right = SeenToken(text=f"-> {example.choices[example.answer]}", target=True)
    return Sight(id=example.id, tokens=(*seen, right), separator=" ")
