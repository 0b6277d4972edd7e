"""From a recipe to its runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunelab.errors import RecipeError
from tunelab.recipe import (
    FullTuning,
    LoraTuning,
    Recipe,
    digest,
    expand,
    labels,
    validate,
)
from tunelab.runs.planned import plan_runs


def recipe(**settings: object) -> Recipe:
    return validate(settings, source="test")


CASES = [
    {"tuning": {"kind": "full"}, "training": {"learning_rate": 3e-5}},
    {"tuning": {"kind": "lora", "rank": 4}},
]


def test_a_recipe_without_a_grid_is_a_grid_of_one() -> None:
    only = recipe(seed=3)
    assert expand(only) == [only]


def test_cases_are_outermost_and_the_last_axis_runs_fastest() -> None:
    runs = expand(recipe(grid={"cases": CASES, "task.train_limit": [500, 4000], "seed": [0, 1]}))
    told = [(run.tuning.kind, run.task.train_limit, run.seed) for run in runs]
    assert told == [
        (kind, limit, seed) for kind in ("full", "lora") for limit in (500, 4000) for seed in (0, 1)
    ]
    assert runs[0].training.learning_rate == 3e-5
    assert runs[-1].training.learning_rate == Recipe().training.learning_rate
    assert all(run.grid is None for run in runs)


def test_a_tuning_with_its_kind_replaces_the_other_whole() -> None:
    base = {"tuning": {"kind": "lora", "rank": 4}}
    full, ranked = expand(
        recipe(**base, grid={"cases": [{"tuning": {"kind": "full"}}, {"tuning": {"rank": 16}}]})
    )
    assert full.tuning == FullTuning(kind="full")
    assert ranked.tuning == LoraTuning(kind="lora", rank=16)


def test_a_list_of_the_tuning_is_for_the_methods_that_have_the_setting() -> None:
    cases = [{"tuning": {"kind": "none"}}, *CASES]
    runs = expand(recipe(grid={"cases": cases, "tuning.shots": [0, 5], "task.train_limit": [9]}))
    assert labels(runs) == ["none", "none-5-shot", "full", "lora-r4"]
    with pytest.raises(RecipeError, match=r"tuning\.rnak, but no method") as caught:
        expand(recipe(grid={"cases": cases, "tuning.rnak": [2]}))
    assert "Did you mean 'rank'" in caught.value.hint


def test_equal_runs_appear_once() -> None:
    assert len(expand(recipe(grid={"seed": [1, 1, 2]}))) == 2


def test_a_wrong_axis_is_told() -> None:
    with pytest.raises(RecipeError, match=r"no setting 'training\.epoch'"):
        expand(recipe(grid={"training.epoch": [1]}))


def test_labels_tell_runs_apart_by_what_differs_but_the_seed() -> None:
    runs = expand(recipe(grid={"cases": CASES, "task.train_limit": [500, 4000], "seed": [0, 1]}))
    assert labels(runs)[::2] == [
        "full,train_limit=500",
        "full,train_limit=4000",
        "lora-r4,train_limit=500",
        "lora-r4,train_limit=4000",
    ]
    assert labels(runs)[0] == labels(runs)[1]


def test_a_model_s_name_stands_for_the_settings_that_go_with_it() -> None:
    small = {"path": "minilm", "max_length": 384}
    large = {"path": "large", "max_length": 1024}
    full = {"kind": "full"}
    cases = [{"tuning": full, "model": small}, {"tuning": full, "model": large}]
    assert labels(expand(recipe(grid={"cases": cases}))) == ["full,path=minilm", "full,path=large"]
    cases.append({"tuning": full, "model": large | {"max_length": 512}})
    assert len(set(labels(expand(recipe(grid={"cases": cases}))))) == 3


def test_the_usual_way_of_asking_goes_without_saying() -> None:
    ways = [{"prompt": {"turns": "multi"}}, {"evaluation": {"decoding": "beams", "beams": 10}}, {}]
    style = {"style": "chat-json"}
    assert labels(expand(recipe(prompt=style, grid={"cases": ways}))) == [
        "lora-r8,turns=multi",
        "lora-r8,beams=10,decoding=beams",
        "lora-r8",
    ]


def test_shots_are_part_of_the_name() -> None:
    tunings = [{"kind": "none"}, {"kind": "none", "shots": 3}]
    assert labels(expand(recipe(grid={"tuning": tunings}))) == ["none", "none-3-shot"]


def test_a_label_of_its_own_stands_in_for_the_tuning() -> None:
    cases = [{"label": "as published", "training": {"epochs": 15}}, {"tuning": {"kind": "none"}}]
    precisions = {"evaluation": {"quantize": ["int8"]}}
    runs = expand(recipe(**precisions, grid={"cases": cases, "seed": [0, 1]}))
    assert labels(runs)[::4] == ["as published", "none"]
    assert labels(runs)[1] == "as published@int8"
    assert digest(recipe(label="a")) == digest(recipe(label="b"))
    axes = expand(recipe(label="a", tuning={"kind": "none"}, grid={"tuning.shots": [0, 3]}))
    assert labels(axes) == ["a,shots=0", "a,shots=3"]
    for wrong in ("a/b", "a, b", "a@b", ""):
        with pytest.raises(RecipeError, match=f"'label' is '{wrong}'"):
            recipe(label=wrong)


def test_a_long_text_is_a_head_and_a_hash_in_a_label() -> None:
    long = ["Answer\nwith words, please. " + "No more | no less. " * 30 + end for end in ("", "!")]
    runs = expand(recipe(grid={"prompt.system": [*long, "ä" * 60, "Be brief."]}))
    names = labels(runs)
    assert names[2:] == [f"lora-r8,system={'ä' * 60}", "lora-r8,system=Be brief."]
    assert len({*names}) == 4
    assert all(re.fullmatch(r"lora-r8,system=Answer with words pleas~\w{6}", n) for n in names[:2])


def test_the_name_of_a_directory_is_no_longer_than_systems_take(tmp_path: Path) -> None:
    run = recipe(seed=123456)
    [planned] = plan_runs([run], ["ä" * 150], tmp_path)
    planned.directory.path.mkdir(parents=True)
    assert planned.directory.path.name.endswith(f"ä-seed123456-{digest(run)}")
    [same] = plan_runs([run], ["lora-r8"], tmp_path)
    assert same.directory == planned.directory


def test_labels_name_the_variants_of_lora() -> None:
    tunings = [
        {"kind": "lora", "dora": True, "rslora": True},
        {"kind": "lora", "init": "pissa"},
        {"kind": "lora", "plus_ratio": 16},
        {"kind": "lora", "dropout": 0.1},
        {"kind": "lora"},
        {"kind": "prefix", "virtual_tokens": 5},
        {"kind": "vera"},
    ]
    assert labels(expand(recipe(grid={"tuning": tunings}))) == [
        "rslora-dora-r8",
        "pissa-r8",
        "lora+-r8",
        "lora-r8,dropout=0.1",
        "lora-r8,dropout=0.0",
        "prefix-5",
        "vera",
    ]


def test_the_digest_hangs_on_what_influences_the_result_alone() -> None:
    assert digest(recipe(name="a", price_per_hour=2)) == digest(recipe(name="b"))
    assert digest(recipe(seed=1)) != digest(recipe(seed=2))
    assert len(digest(recipe())) == 8
