"""The literal match: by hand, against the official one, and as its authors sum it up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.data import read_squad
from tunelab.errors import DataError
from tunelab.metrics import normalise, score_literal, score_squad


def test_worked_out_by_hand() -> None:
    gold = {"q1": ["Oslo", "in Oslo"], "q2": ["The King"], "q3": [], "q4": [], "q5": ["x"]}
    answers = {"q1": "in Oslo", "q2": "the king", "q3": "", "q4": "Rome", "q5": None}
    scored = score_literal(gold, answers, formatted=True)
    assert scored.figures() == {
        "literal_valid": pytest.approx(4 / 5),
        "literal_exact": pytest.approx(2 / 5),
        "literal_exact_of_valid": pytest.approx(2 / 4),
        "literal_no_answer": pytest.approx(1 / 2),
        "literal_has_answer": pytest.approx(1 / 3),
    }


def test_figures_about_nothing_are_left_out() -> None:
    readable = score_literal({"q": ["x"]}, {"q": "x"}, formatted=False)
    assert readable.figures() == {"literal_exact": 1.0, "literal_has_answer": 1.0}
    broken = score_literal({"q": []}, {"q": None}, formatted=True)
    assert broken.figures() == {
        "literal_valid": 0.0,
        "literal_exact": 0.0,
        "literal_no_answer": 0.0,  # nothing readable is no abstention
    }


def test_answers_to_other_questions_are_refused() -> None:
    with pytest.raises(DataError, match="None of the 1 answers is for one of the 2 questions"):
        score_literal({"q1": [], "q2": []}, {"q3": ""}, formatted=False)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["Oslo", "oslo", "the king"]), max_size=2),
            st.sampled_from(["Oslo", "the king", "", None]),
        ),
        min_size=1,
    )
)
def test_the_two_kinds_of_question_make_up_the_whole(
    items: list[tuple[list[str], str | None]],
) -> None:
    """The slip of a quotation mark that made every question answerable breaks this sum."""
    gold = {str(n): golds for n, (golds, _) in enumerate(items)}
    said = {str(n): answer for n, (_, answer) in enumerate(items)}
    scored = score_literal(gold, said, formatted=True)
    found = scored.figures()
    without = sum(not golds for golds in gold.values())
    whole = found.get("literal_no_answer", 0) * without
    whole += found.get("literal_has_answer", 0) * (len(items) - without)
    assert whole == pytest.approx(found["literal_exact"] * len(items))
    assert found["literal_exact"] <= found["literal_valid"]
    if found["literal_valid"]:
        assert found["literal_exact_of_valid"] == pytest.approx(
            found["literal_exact"] / found["literal_valid"]
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v2.0-nlnet-single", "v2.0-bidaf-sa-elmo-single"])
def test_published_answers_score_less_than_officially(shared_data: Path, name: str) -> None:
    folder = shared_data / "squad"
    gold = {example.id: example.gold for example in read_squad(folder / "dev-v2.0.json.gz")}
    answers: dict[str, str] = json.loads(
        gzip.decompress((folder / "predictions" / f"{name}.json.gz").read_bytes())
    )
    literal = score_literal(gold, answers, formatted=False)
    official = score_squad(gold, answers, version="2.0")
    assert literal.ids == official.ids
    assert (literal.exact <= official.exact).all()
    only_officially = official.exact > literal.exact
    assert 0.005 < only_officially.mean() < 0.2  # the two are not one metric
    for key in np.array(literal.ids)[only_officially]:
        forms = {normalise(text) for text in gold[key]} or {""}
        assert normalise(answers[key]) in forms
        assert answers[key] not in (gold[key] or [""])
