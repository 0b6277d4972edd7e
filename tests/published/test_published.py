"""The published tables of four projects, recomputed: what agrees, and what is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.published.averages import mean_over_items, mean_over_parts
from tests.published.page import page
from tests.published.recompute import Claim, fitting_splits, read, systems
from tests.published.shares import Difference, Share, share
from tests.published.systems import FROM_DATA, FROM_FIXTURES, PAGES, renewed

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


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_a_system_s_page_has_the_computed_tables(path: Path) -> None:
    assert path.read_text() == renewed(path.read_text(), None), "python -m tests.published.systems"


@pytest.mark.slow
def test_published_answers_are_scored_as_the_pages_say(shared_data: Path) -> None:
    for path in PAGES.glob("*.md"):
        assert path.read_text() == renewed(path.read_text(), shared_data)


def test_every_computed_table_stands_on_a_page() -> None:
    pages = "".join(path.read_text() for path in PAGES.glob("*.md"))
    for name in (*FROM_FIXTURES, *FROM_DATA):
        assert pages.count(f"<!-- computed: {name} -->") == 1


def test_a_share_has_wilson_s_interval() -> None:
    low, high = Share(378, 500).interval()
    assert (low, high) == (pytest.approx(71.65, abs=0.01), pytest.approx(79.16, abs=0.01))
    assert share("75.6", 500) == Share(378, 500)


def test_what_a_difference_needs_to_be_separable() -> None:
    close = Difference(share(83.27, 11873), share(82.70, 11873))
    assert not close.separable
    right = close.first.right - close.second.right
    assert close.allowed_changes is not None
    # McNemar's z of so many changes, right of them to one side's favour, is still at its limit
    assert (
        right / close.allowed_changes**0.5 > 1.959 > right / (1.01 * close.allowed_changes) ** 0.5
    )
    assert Difference(Share(60, 100), Share(40, 100)).separable
    assert "nor paired" in Difference(Share(378, 500), Share(376, 500)).told("points")
    assert Difference(Share(60, 100), Share(40, 90)).allowed_changes is None
