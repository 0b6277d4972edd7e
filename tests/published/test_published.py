"""The published tables of four projects, recomputed: what agrees, and what is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.published.averages import mean_over_items, mean_over_parts
from tests.published.page import page
from tests.published.recompute import Claim, fitting_splits, read, systems

CLAIMS = [claim for system in systems() for claim in system.claims]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.row}: {claim.figure}")
def test_a_published_figure_agrees_unless_it_is_a_known_mistake(claim: Claim) -> None:
    assert claim.agrees != claim.mistake, (claim.published, claim.recomputed)


def test_the_page_is_made_from_the_fixtures() -> None:
    written = Path(__file__).parents[2] / "docs" / "published.md"
    assert written.read_text() == page(), "python -m tests.published.page > docs/published.md"


def test_official_exact_match_recombines_to_the_last_digit() -> None:
    exact = [claim for claim in systems()[0].claims if claim.figure == "exact"]
    assert len(exact) == 8
    assert [claim.published for claim in exact] == [repr(claim.recomputed) for claim in exact]


def test_sampled_rows_fit_one_split_and_an_unmarked_one_is_among_them() -> None:
    sampled = [row for row in read("llama_squad.toml")["rows"] if row.get("sampled")]
    assert len(sampled) == 4
    for row in sampled:
        assert fitting_splits(row) == [row["sampled_has_answer"]]


def test_the_averages_of_the_lab_are_those_that_were_corrected() -> None:
    averages = {c.row: c.recomputed for c in systems()[3].claims if c.figure.startswith("average")}
    assert averages["LoRA"] == pytest.approx(0.8775)  # not 1.04
    assert averages["Nitral"] == pytest.approx(0.925)  # not 1.13
    assert averages["FuseChat"] == pytest.approx(0.435)
    assert averages["LoRA + Nitral"] == pytest.approx(1.865)


def test_four_bit_mmlu_has_two_averages_and_no_gain() -> None:
    subjects = list(read("expert.toml")["subjects"].values())
    figures = [float(figure) for _, _, figure in subjects]
    counts = [count for _, count, _ in subjects]
    assert sum(counts) == 14_042
    assert mean_over_parts(figures) == pytest.approx(56.20, abs=0.005)
    assert mean_over_items(figures, counts) == pytest.approx(56.28, abs=0.005)
    humanities = [(n, float(f)) for where, n, f in subjects if where == "humanities"]
    pooled = mean_over_items([f for _, f in humanities], [n for n, _ in humanities])
    assert pooled == pytest.approx(54.96, abs=0.005)  # the published 62.0 is over subjects
    gains = [c.recomputed for c in systems()[2].claims if c.figure.endswith("gain over questions")]
    assert len(gains) == 4
    assert max(gains) < 0


def test_averages_need_something_to_average() -> None:
    with pytest.raises(ValueError, match="needs items"):
        mean_over_items([], [])
    with pytest.raises(ValueError, match="needs parts"):
        mean_over_parts([])
    with pytest.raises(ValueError, match="shorter"):
        mean_over_items([1.0, 2.0], [3])
