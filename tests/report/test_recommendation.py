"""The recommendation says what the verdicts say, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.report.studies import Writer, predictions

from tunelab.records import find_runs
from tunelab.report import write_report
from tunelab.report.advice import axes
from tunelab.report.breakeven import Axis, Place, break_even
from tunelab.report.recommendation import (
    Advice,
    CostName,
    Field,
    Limit,
    Option,
    listed,
    pareto,
    recommend,
)
from tunelab.report.study import read_study
from tunelab.statistics import Difference, judge


def option(
    label: str,
    value: float,
    *,
    seconds: Sequence[float] = (60.0,),
    size: float = 2**20,
    seeds: int = 3,
) -> Option:
    costs: dict[CostName, tuple[float, ...]] = {
        "time": tuple(seconds),
        "memory": (2.0**30,),
        "size": (size,),
    }
    runs = tuple(f"{label}-seed{n}" for n in range(seeds))
    return Option(label, value, value - 1, value + 1, seeds, costs, runs)


def field(*options: Option, noise: float = 1.0) -> Field:
    """Differences above twice the noise are shown, as verdicts would have it."""
    pairs = [
        (
            a.label,
            b.label,
            Difference(
                value=a.value - b.value,
                seeds=(a.seeds, b.seeds),
                items=100,
                clusters=50,
                low=a.value - b.value - 2 * noise,
                high=a.value - b.value + 2 * noise,
                standard_error=noise,
                degrees_of_freedom=60.0,
                p_value=1e-6 if abs(a.value - b.value) > 2 * noise else 0.5,
            ),
        )
        for n, a in enumerate(options)
        for b in options[n + 1 :]
    ]
    return Field.of(options, judge(pairs, metric="F1"), "F1")


def told(advice: Sequence[Advice], topic: str) -> str:
    (found,) = [each for each in advice if each.topic.startswith(topic)]
    return found.sentence


def test_a_clear_winner_is_named_with_its_lead() -> None:
    best = recommend(field(option("lora", 61.0), option("full", 70.0), option("head", 10.0)))[0]
    assert best.topic == "Best quality"
    assert best.sentence == (
        "full (70.0 F1 [69.0, 71.0]) is better than every other method; the next, lora "
        "(61.0 F1 [60.0, 62.0]), is behind by 9.0 [7.0, 11.0]."
    )
    assert best.runs[:3] == ("full-seed0", "full-seed1", "full-seed2")


def test_what_cannot_be_separated_is_not_ranked() -> None:
    found = recommend(field(option("full", 61.5), option("lora", 61.0), option("head", 10.0)))
    best = told(found, "Best quality")
    assert best.startswith("No single best: full (61.5 F1 [60.5, 62.5]) scored highest, but lora ")
    assert "is not separable from it" in best
    assert best.endswith("full is better than head by 51.5 [49.5, 53.5].")


def test_a_loser_that_is_named_first_in_its_verdict_is_still_the_loser() -> None:
    found = field(option("head", 10.0), option("full", 70.0))
    assert found.beats(found.options[0], found.options[1])
    assert "behind by 60.0 [58.0, 62.0]" in recommend(found)[0].sentence


def test_one_seed_is_about_trained_models() -> None:
    one = field(option("full", 70.0, seeds=1), option("lora", 60.0, seeds=1))
    assert told(recommend(one), "Best quality").endswith(
        "One seed each: this is about these trained models, not about the methods."
    )
    mixed = field(option("full", 70.0), option("lora", 60.0, seeds=1))
    assert "One seed of lora: " in told(recommend(mixed), "Best quality")


@pytest.mark.parametrize("options", [[], [option("full", 70.0)]])
def test_nothing_to_compare_is_no_recommendation(options: list[Option]) -> None:
    (advice,) = recommend(field(*options))
    assert "nothing to recommend" in advice.sentence or "a comparison needs two" in advice.sentence


def test_cheapest_is_looked_for_among_those_that_tie_with_the_best() -> None:
    found = recommend(
        field(
            option("full", 61.5, seconds=(90, 100, 110), size=90e6),
            option("lora", 61.0, seconds=(95, 120, 130), size=1e6),
            option("head", 10.0, seconds=(1, 1, 1), size=1e3),
        )
    )
    cheapest = told(found, "Cheapest within noise")
    assert cheapest.startswith("Among full and lora: least saved size: lora, 977 KiB against 85.8")
    assert "training time (1 min 40 s to 2 min 00 s)" in cheapest
    assert "do not tell them apart" in cheapest
    assert "head" not in cheapest


def test_limits_leave_out_what_needs_more_in_any_seed() -> None:
    options = (
        option("full", 70.0, seconds=(500, 700)),
        option("lora", 65.0, seconds=(100, 200), size=5e6),
        option("head", 10.0, seconds=(50, 60), size=1e3),
    )
    limits: dict[CostName, Limit] = {"time": Limit(600, "600 s"), "size": Limit(1e6, "1MB")}
    found = recommend(field(*options), limits=limits)
    assert told(found, "Best under 600 s of training time and").startswith("head (10.0 F1")
    by_time = next(each for each in found if each.topic == "Best under 600 s of training time")
    assert by_time.sentence == "lora (65.0 F1 [64.0, 66.0]); full needs more."
    none = recommend(field(*options), limits={"time": Limit(10, "10 s")})
    assert told(none, "Best under 10 s") == "No method; the least is 1 min 00 s, of head."


def test_a_cost_that_no_run_tells_is_not_under_a_limit() -> None:
    silent = Option("full", 70.0, None, None, 1, {"time": (), "memory": (), "size": ()}, ("r",))
    found = recommend(field(silent), limits={"memory": Limit(1e9, "1GB")})
    assert told(found, "Best under 1GB") == "No run tells its peak memory."


def test_the_pareto_set_holds_what_nothing_beats_at_its_price() -> None:
    options = [
        option("full", 70.0, seconds=(100,)),
        option("lora", 65.0, seconds=(50,)),
        option("slow", 64.0, seconds=(60,)),
        option("same", 65.0, seconds=(50,)),
        option("head", 10.0, seconds=(10,)),
    ]
    assert [each.label for each in pareto(options, "time")] == ["full", "lora", "head"]


def test_what_more_money_buys_is_told_as_far_as_it_is_shown() -> None:
    options = [
        option("full", 66.0, seconds=(100,)),
        option("lora", 65.0, seconds=(50,)),
        option("slow", 64.0, seconds=(60,)),
        option("head", 10.0, seconds=(10,)),
    ]
    assert told(recommend(field(*options)), "If training time is limited") == (
        "head from 10.0 s (10.0 F1) and lora from 50.0 s (65.0 F1). More training time is not "
        "shown to buy more."
    )
    assert told(recommend(field(*options[::3])), "If training time is limited") == (
        "head from 10.0 s (10.0 F1) and full from 1 min 40 s (66.0 F1)."
    )


def axis(*places: tuple[str, str, int | None]) -> Axis:
    return Axis("training questions", {name: Place(family, at) for name, family, at in places})


def test_where_methods_break_even() -> None:
    values = {
        ("5-shot", 100): 40.0,
        ("5-shot", 300): 41.0,
        ("5-shot", 2000): 42.0,
        ("5-shot", 8000): 42.0,
        ("full", 100): 10.0,
        ("full", 300): 30.0,
        ("full", 2000): 50.0,
        ("full", 8000): 60.0,
    }
    options = [option(f"{name},{at}", value) for (name, at), value in values.items()]
    places = axis(*((f"{name},{at}", name, at) for name, at in values))
    (advice,) = break_even(field(*options), places)
    assert advice.topic == "Where training questions decide"
    assert advice.sentence == (
        "Up to 300 training questions 5-shot is best, 11.0 F1 [9.0, 13.0] ahead of full at 300; "
        "from 2,000 training questions on full is best, 18.0 F1 [16.0, 20.0] ahead of 5-shot at "
        "8,000. 5-shot and full break even between 300 and 2,000."
    )
    assert "full,8000-seed0" in advice.runs


def test_a_level_where_methods_tie_says_so_and_one_without_levels_stands_everywhere() -> None:
    options = [option("none", 40.0), option("full,10", 20.0), option("full,90", 40.5)]
    places = axis(("none", "none", None), ("full,10", "full", 10), ("full,90", "full", 90))
    (advice,) = break_even(field(*options), places)
    assert advice.sentence == (
        "With 10 training questions none is best, 20.0 F1 [18.0, 22.0] ahead of full; with 90 "
        "training questions full and none are not separable."
    )


def test_no_break_even_where_methods_meet_at_one_level_only() -> None:
    options = [option("a", 40.0), option("b", 20.0), option("c", 10.0)]
    assert break_even(field(*options), axis(("a", "a", 1), ("b", "b", 1), ("c", "c", 2))) == []


def test_long_lists_are_cut_with_their_number() -> None:
    assert listed(["a"]) == "a"
    assert listed(list("abc")) == "a, b and c"
    assert listed(list("abcdefgh")) == "a, b, c, d and 4 others"


def test_an_untuned_model_stands_at_every_number_of_training_questions(tmp_path: Path) -> None:
    tuned = {"tuning": {"kind": "full"}}
    cases: list[dict[str, Any]] = [{"tuning": {"kind": "none"}}]
    cases += [tuned | {"task": {"train_limit": limit}} for limit in (30, 1000)]
    writer = Writer(tmp_path / "out", {"task": {"version": "1.1"}, "grid": {"cases": cases}})
    right = {"none": 40, "full,train_limit=30": 20, "full,train_limit=1000": 70}
    for label, many in right.items():
        writer.write(label, 0, predictions([index < many for index in range(80)]))
    [axis] = axes(read_study(writer.out))
    assert axis.places["none"].level is None and axis.levels == [30, 1000]
    answer = next(each for each in write_report(writer.out).advice if "questions" in each.topic)
    assert "none is best" in answer.sentence and "full is best" in answer.sentence
    assert "none and full break even between 30 and 1,000" in answer.sentence


def test_data_of_several_sizes_are_no_levels(tmp_path: Path) -> None:
    cases: list[dict[str, Any]] = [
        {"label": name, "tuning": {"kind": "full"}, "task": {"train": f"{name}.json"}}
        for name in ("this", "that")
    ]
    writer = Writer(tmp_path / "out", {"task": {"version": "1.1"}, "grid": {"cases": cases}})
    for label, many in {"this": 40, "that": 70}.items():
        writer.write(label, 0, predictions([index < many for index in range(80)]))
    for number, run in enumerate(find_runs(writer.out)):
        manifest = run.read_manifest()
        data = {"train": f"{35 + number} questions"}
        run.write_manifest(manifest.model_copy(update={"data": data}))
    assert axes(read_study(writer.out)) == []
