"""What runs answered, side by side: the passage in its paragraph, how sure they are, its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.app.asking import Told
from tunelab.app.highlighting import Piece, marked, place_of
from tunelab.app.rendering import render
from tunelab.data import Example
from tunelab.metrics import answer_exact, answer_f1

_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Rival:
    """A possible answer."""

    text: str
    percent: float


@dataclass(frozen=True, slots=True)
class AnswerCard:
    """One run's answer, as it is shown."""

    name: str
    answer: str
    """Empty: not in the text."""
    paragraph: list[Piece]
    found_in_text: bool
    """Whether the answer stands in the paragraph, or there is none."""
    withheld: bool
    """Whether the run's no-answer threshold withheld what seemed the likeliest."""
    no_answer: float | None
    """Percent."""
    rivals: list[Rival]
    response: str
    """All that a decoder wrote; empty for an encoder."""
    cut: bool
    """Whether the response ended at the limit of tokens."""
    judged: tuple[bool, float] | None
    """Whether it is exactly right, and its F1 in percent; None where no gold answers are known."""
    milliseconds: float


def answers_html(example: Example, told: Sequence[Told], *, gold_known: bool) -> str:
    """The cards of all runs that were asked, failures among them."""
    shown = [
        (each.name, each.problem, _card(example, each, gold_known=gold_known)) for each in told
    ]
    gold = tuple(dict.fromkeys(example.gold))
    return render("answers", {"told": shown, "gold": gold, "gold_known": gold_known})


def _card(example: Example, told: Told, *, gold_known: bool) -> AnswerCard | None:
    found = told.found
    if found is None:
        return None
    prediction, written = found.prediction, found.prediction.decoded
    place = place_of(found, example.context)
    sure = found.no_answer_probability
    return AnswerCard(
        name=told.name,
        answer=prediction.answer,
        paragraph=marked(example, [place]),
        found_in_text=place is not None or not prediction.answer,
        withheld=not prediction.answer
        and bool(found.candidates)
        and bool(found.candidates[0].text),
        no_answer=None if sure is None else 100 * sure,
        rivals=[Rival(e.text, 100 * e.probability) for e in found.candidates[:_CANDIDATES]],
        response=written.response if written else "",
        cut=written is not None and written.finished == "length",
        judged=_judged(prediction.answer, example.gold) if gold_known else None,
        milliseconds=1000 * told.seconds,
    )


def _judged(answer: str, gold: Sequence[str]) -> tuple[bool, float]:
    """By the official definitions of SQuAD 2.0, the best over the gold answers."""
    return answer_exact(answer, gold) == 1, 100 * answer_f1(answer, gold)
