"""What is wrong, or worth knowing, about a task's data: looked for before anything is trained.

Pure functions of examples and windows. A finding is an error (training on it would teach something
wrong, or a score on it would be no evidence), a warning, or a fact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tunelab.data import Example, Single, misplaced_answers, shared_paragraphs
from tunelab.prompts.windows import Window
from tunelab.recipe import Task

Severity = Literal["error", "warning", "fact"]

_BALANCE_GAP = 0.1
"""Shares of unanswerable questions that differ by more are worth a warning."""
_LISTED = 20
"""Ids that a finding names at most."""


class Finding(BaseModel):
    """One thing that the doctor saw."""

    model_config = ConfigDict(frozen=True)

    name: str
    severity: Severity
    found: str
    """What was seen, as a sentence with its figures."""
    remedy: str = ""
    ids: tuple[str, ...] = ()
    """The first questions concerned."""


def fact(name: str, found: str) -> Finding:
    """Nothing wrong, but worth knowing."""
    return Finding(name=name, severity="fact", found=found)


def listed(examples: Iterable[Single]) -> tuple[str, ...]:
    """The ids of the first of these examples, as a finding lists them."""
    return tuple(dict.fromkeys(example.id for example in examples))[:_LISTED]


def examine_choice(task: Task) -> list[Finding]:
    """Whether anything is held out that choices can be made on."""
    if task.validation > 0:
        return []
    return [
        Finding(
            name="choice",
            severity="warning",
            found="task.validation is 0: neither an epoch nor a no-answer threshold is chosen.",
            remedy="Set task.validation=0.1. Nothing is ever chosen on the test set.",
        )
    ]


def examine_answers(part: str, examples: Sequence[Example]) -> list[Finding]:
    """Answers that do not stand at their offset in the context."""
    wrong = misplaced_answers(examples)
    if not wrong:
        return [fact("offsets", f"{part}: all {_answers(examples)} answers stand at their offset.")]
    example, answer = wrong[0]
    stands = example.context[max(answer.start, 0) :][: max(len(answer.text), 1)]
    return [
        Finding(
            name="offsets",
            severity="error",
            found=f"{part}: {len(wrong)} answers do not stand at their offset; in "
            f"'{example.id}' it is '{answer.text}', and '{stands}' stands there.",
            remedy="Correct answer_start (it counts Unicode characters) or remove the questions.",
            ids=listed(example for example, _ in wrong),
        )
    ]


def examine_windows(
    part: str, examples: Sequence[Example], windows: Sequence[Window], max_length: int
) -> list[Finding]:
    """Answers that no window holds whole, and how long the windows are."""
    held = {window.example for window in windows if window.answered}
    lost = [e for index, e in enumerate(examples) if e.answers and index not in held]
    lengths = sorted(len(window.input_ids) for window in windows)
    split = sum(count > 1 for count in Counter(window.example for window in windows).values())
    findings = [
        fact(
            "lengths",
            f"{part}: {len(windows)} windows of {len(examples)} questions, median "
            f"{lengths[len(lengths) // 2]} tokens, longest {lengths[-1]}; {split} questions need "
            f"more than one window of {max_length}.",
        )
    ]
    if lost:
        findings.append(
            Finding(
                name="answer in no window",
                severity="warning",
                found=f"{part}: {len(lost)} answers lie in no window whole; these questions would "
                'teach "no answer".',
                remedy="Raise model.stride (to the longest answer's tokens) or model.max_length.",
                ids=listed(lost),
            )
        )
    return findings


def examine_overlap(train: Sequence[Example], test: Sequence[Example]) -> list[Finding]:
    """Paragraphs, articles and questions that train and test share."""
    groups = shared_paragraphs(train, test)
    if groups:
        concerned = [example for example in test if example.group in groups]
        return [
            Finding(
                name="overlap",
                severity="error",
                found=f"{len(groups)} test paragraphs ({len(concerned)} questions) are also "
                "trained on: their scores are no evidence.",
                remedy="Take these paragraphs out of the training data.",
                ids=listed(concerned),
            )
        ]
    titles = {example.article for example in train} & {example.article for example in test}
    if titles:
        return [
            Finding(
                name="overlap",
                severity="warning",
                found=f"no paragraph is in train and test, but {len(titles)} articles are, such "
                f"as '{min(titles)}': scores are optimistic for new subjects.",
                remedy="Split by article.",
            )
        ]
    return [fact("overlap", "no paragraph and no article is in both train and test.")]


def examine_balance(
    train: Sequence[Example], test: Sequence[Example], version: str
) -> list[Finding]:
    """Shares of unanswerable questions, and whether train and test agree in them."""
    shares = [sum(not e.answers for e in part) / max(len(part), 1) for part in (train, test)]
    told = f"{shares[0]:.1%} of the training and {shares[1]:.1%} of the test questions"
    if version == "1.1":
        if not any(shares):
            return [fact("answerability", "every question has an answer, as in version 1.1.")]
        return [
            Finding(
                name="answerability",
                severity="error",
                found=f"{told} have no answer, but task.version is 1.1.",
                remedy='Say task.version="2.0".',
                ids=listed(example for example in (*train, *test) if not example.answers),
            )
        ]
    found = f"{told} have no answer."
    if abs(shares[0] - shares[1]) > _BALANCE_GAP:
        return [
            Finding(
                name="answerability",
                severity="warning",
                found=found,
                remedy="The threshold is chosen on held-out training data with its share; "
                "expect it to abstain too rarely or too often on the test set.",
            )
        ]
    return [fact("answerability", found)]


def examine_repeats(part: str, examples: Sequence[Example]) -> list[Finding]:
    """Questions asked twice on one paragraph, with answers that contradict each other."""
    asked: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        asked[example.group, " ".join(example.question.lower().split())].append(example)
    contradicting = [
        members for members in asked.values() if len({bool(e.answers) for e in members}) > 1
    ]
    if not contradicting:
        return []
    return [
        Finding(
            name="contradictions",
            severity="warning",
            found=f"{part}: {len(contradicting)} questions stand twice on one paragraph, once "
            "with and once without an answer.",
            remedy="Remove one of each pair.",
            ids=listed(members[0] for members in contradicting),
        )
    ]


def _answers(examples: Sequence[Example]) -> int:
    return sum(len(example.answers) for example in examples)
