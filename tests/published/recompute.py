"""Published figures of four projects beside what tunelab makes of the tables they stand in.

Exact matches go through the metrics themselves: as many right and wrong answers as the published
parts say, scored anew. Averages and deltas go through `tests.published.averages`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.published.averages import mean_over_items, mean_over_parts

from tunelab.metrics import score_literal, score_squad

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Claim:
    """One published figure."""

    row: str
    figure: str
    published: str
    """As it is printed."""
    recomputed: float
    slack: float
    """How far rounding of what it was recomputed from may move it."""
    mistake: bool = False
    """Known to be wrong (field.md); the test holds it to that."""

    @property
    def decimals(self) -> int:
        return len(self.published.partition(".")[2])

    @property
    def agrees(self) -> bool:
        """Whether the published figure is the recomputed one, but for rounding."""
        allowed = 0.5 * 10.0**-self.decimals + self.slack
        return abs(float(self.published) - self.recomputed) <= allowed * (1 + 1e-9)


@dataclass(frozen=True)
class System:
    """The claims of one project, and why they are worth checking."""

    title: str
    file: str
    how: str
    why: str
    claims: tuple[Claim, ...]

    @property
    def source(self) -> str:
        return read(self.file)["source"]


@cache
def read(name: str) -> dict[str, Any]:
    """A fixture; its numbers keep the digits they were printed with."""
    return tomllib.loads((FOLDER / name).read_text(), parse_float=str)


@cache
def systems() -> tuple[System, ...]:
    """All projects, in the order of field.md."""
    return (
        System(
            "Lit-LLaMA-QA",
            "lit_llama_qa.toml",
            "EM: so many right answers, scored by `score_squad`. F1: the mean of HasAns and NoAns "
            "over their questions.",
            "Every row holds. But one F1 hides what moved: at rank 16 it is that of rank 8, with 7 "
            "points less where there is an answer and 7 more where there is none.",
            tuple(_lit_llama_qa()),
        ),
        System(
            "LLaMA SQuAD",
            "llama_squad.toml",
            "EM: so many right answers of each kind, scored by `score_literal`; EM of valid: "
            "EM over valid. The rows of 1,000 sampled questions fit one split into questions with "
            "and without an answer each, which is the one used.",
            "The 70b row does not recombine over the whole set, but does over 1,000 questions: it "
            "is a sampled row not marked as one, its interval 3 points to either side and not 1. "
            "And this exact match is not SQuAD's: the two tables must not share a column.",
            tuple(_llama_squad()),
        ),
        System(
            "EXPERT",
            "expert.toml",
            "LLaMA rows: the average over questions. 4-bit row: from its 57 subjects, as the "
            "average over subjects, which it is, and over questions, which the others are.",
            "The gain of 6.2 points in the humanities from quantising to 4 bits is a difference "
            "between two kinds of average. Like for like it is a loss in every category.",
            tuple(_expert()),
        ),
        System(
            "Llama-3.2-1B lab",
            "llama_lab.toml",
            "Deltas: the score minus the base's. Averages: of the recomputed deltas, in points.",
            "Four of sixteen deltas were typed wrong, all upwards, so two of four averages are "
            "too high. No table of tunelab has a delta that was typed.",
            tuple(_llama_lab()),
        ),
    )


def _lit_llama_qa() -> Iterator[Claim]:
    table = read("lit_llama_qa.toml")
    has, no = table["HasAns_total"], table["NoAns_total"]
    for row in table["rows"]:
        right_has = round(float(row["HasAns_exact"]) * has / 100)
        right_no = round(float(row["NoAns_exact"]) * no / 100)
        gold = {f"has{i}": ("gold",) for i in range(has)} | {f"no{i}": () for i in range(no)}
        said = {f"has{i}": "gold" if i < right_has else "other" for i in range(has)}
        said |= {f"no{i}": "" if i < right_no else "other" for i in range(no)}
        found = score_squad(gold, said, version="2.0").figures()
        for name in ("exact", "HasAns_exact", "NoAns_exact"):
            yield Claim(row["name"], name, row[name], found[name], slack=1e-12)
        parts = [float(row["HasAns_f1"]), float(row["NoAns_f1"])]
        yield Claim(row["name"], "f1", row["f1"], mean_over_items(parts, [has, no]), slack=1e-12)


def _llama_squad() -> Iterator[Claim]:
    table = read("llama_squad.toml")
    unit = 0.005  # percent with two decimals
    for row in table["rows"]:
        has, no = table["has_answer"], table["no_answer"]
        slack = 100 / (has + no)  # two decimals of the parts may hide a question
        if row.get("sampled"):
            slack = 0.0  # here they do not
            has = row["sampled_has_answer"]
            no = SAMPLED - has
        right = round(float(row["has"]) * has / 100), round(float(row["no"]) * no / 100)
        gold = {f"has{i}": ("gold",) for i in range(has)} | {f"no{i}": () for i in range(no)}
        said = {f"has{i}": "gold" if i < right[0] else "other" for i in range(has)}
        said |= {f"no{i}": "" if i < right[1] else "other" for i in range(no)}
        exact = 100 * score_literal(gold, said, formatted=False).figures()["literal_exact"]
        name, wrong = "% exact match", row.get("mistakes", ())
        yield Claim(row["name"], name, row["exact"], exact, slack, mistake=name in wrong)
        if "valid" in row:
            of_valid = 100 * float(row["exact"]) / float(row["valid"])
            yield Claim(
                row["name"], "% EM of valid", row["exact_of_valid"], of_valid, slack=3 * unit
            )


SAMPLED = 1000
"""Questions of the rows of LLaMA SQuAD that are about a sample."""


def fitting_splits(row: dict[str, Any]) -> list[int]:
    """How many of 1,000 sampled questions can have an answer, given a row's three figures."""
    wanted = row["exact"], row["has"], row["no"]
    return [
        has
        for has in range(1, SAMPLED)
        for right_has in (round(float(row["has"]) * has / 100),)
        for right_no in (round(float(row["no"]) * (SAMPLED - has) / 100),)
        if wanted
        == (
            f"{100 * (right_has + right_no) / SAMPLED:.2f}",
            f"{100 * right_has / has:.2f}",
            f"{100 * right_no / (SAMPLED - has):.2f}",
        )
    ]


def _expert() -> Iterator[Claim]:
    table = read("expert.toml")
    categories, questions = table["categories"], table["questions"]
    for row in table["rows"]:
        average = mean_over_items([float(f) for f in row["figures"]], questions)
        yield Claim(row["name"], "average over questions", row["average"], average, slack=0.05)

    four_bit = table["four_bit"]
    name, subjects = four_bit["name"], list(table["subjects"].values())
    [against] = [row for row in table["rows"] if row["name"] == four_bit["against"]]
    over_items: list[float] = []
    for category, published in zip(categories, four_bit["figures"], strict=True):
        counts = [count for where, count, _ in subjects if where == category]
        figures = [float(figure) for where, _, figure in subjects if where == category]
        over_items.append(mean_over_items(figures, counts))
        yield Claim(
            name, f"{category}, over subjects", published, mean_over_parts(figures), slack=0.005
        )
    figures = [float(figure) for _, _, figure in subjects]
    yield Claim(
        name, "average over subjects", four_bit["average"], mean_over_parts(figures), slack=0.005
    )
    pooled = mean_over_items(figures, [count for _, count, _ in subjects])
    yield Claim(
        name,
        "average gain, over questions",
        four_bit["average_gain"],
        pooled - float(against["average"]),
        slack=0.055,
    )
    for category, gain, mine, theirs in zip(
        categories, four_bit["gains"], over_items, against["figures"], strict=True
    ):
        yield Claim(
            name,
            f"{category}, gain over questions",
            gain,
            mine - float(theirs),
            slack=0.055,
            mistake=category in four_bit["mistakes"],
        )


def _llama_lab() -> Iterator[Claim]:
    table = read("llama_lab.toml")
    unit = 0.00005  # fractions with four decimals
    for row in table["rows"]:
        deltas: list[float] = []
        for name, base, score, delta in zip(
            table["benchmarks"], table["base"], row["scores"], row["deltas"], strict=True
        ):
            deltas.append(float(score) - float(base))
            wrong = name in row["mistakes"]
            # a difference of printed scores is exact in their decimals: no slack
            yield Claim(row["name"], f"{name}, delta", delta, deltas[-1], 1e-12, mistake=wrong)
        yield Claim(
            row["name"],
            "average delta, points",
            row["average"],
            100 * mean_over_parts(deltas),
            slack=100 * unit / 2,
            mistake="average" in row["mistakes"],
        )
