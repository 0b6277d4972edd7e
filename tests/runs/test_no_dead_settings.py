"""Every setting of the recipe schema is read by the code that does the work.

Attribute reads are recorded while runs of every kind of tuning go from data to scores. Reads by
the recipe package itself (labels, digests) do not count, but for the grid and the search, whose
work is done there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.choices import small_tasks
from tests.endpoint.scripted import scripted
from tests.free_text import mixture

from tunelab.recipe import Api, Recipe, Task, Tuning, expand, labels, read_recipe, trials, validate
from tunelab.recipe.schema import Search, Settings
from tunelab.records import RunDirectory
from tunelab.runs.execute import execute
from tunelab.runs.experiment import check

DONE_IN_THE_RECIPE_PACKAGE = {
    *(("Recipe", name) for name in ("grid", "label", "search")),
    *(("Search", name) for name in Search.model_fields),
}
READ_BY_THE_EXPERIMENT = {("Recipe", "name")}
"""Title of the display and of the table: read where a whole grid is run (test_runs.py)."""
READ_AT_A_BAD_ROW = {("ChatTask", "bad_rows"), ("TextQaTask", "bad_rows")}
"""There is none in these runs; what it does is tested where rows are read."""


def settings_classes() -> list[type[BaseModel]]:
    members = [*get_args(get_args(Tuning)[0]), *get_args(get_args(Task)[0])]
    tunings = [get_args(member)[0] for member in members]
    groups = {field.annotation for field in Recipe.model_fields.values()} | {Api}
    plain = [g for g in groups if isinstance(g, type) and issubclass(g, BaseModel)]
    return [Recipe, Search, *plain, *tunings]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[str, str]]]:
    seen: set[tuple[str, str]] = set()
    original = Settings.__getattribute__

    def recording(self: Settings, name: str) -> Any:
        reader = sys._getframe(1).f_globals.get("__name__", "")
        owner = type(self)
        if name in owner.model_fields and reader.startswith("tunelab."):
            place = (owner.__name__, name)
            if not reader.startswith("tunelab.recipe") or place in DONE_IN_THE_RECIPE_PACKAGE:
                seen.add(place)
        return original(self, name)

    monkeypatch.setattr(Settings, "__getattribute__", recording)
    yield seen


@pytest.mark.slow
def test_no_setting_is_dead(
    small_recipe: Path,
    small_decoder: Path,
    wide_decoder: Path,
    tmp_path: Path,
    reads: set[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("bitsandbytes", "llmcompressor"):
        pytest.importorskip(package, reason="the extras `quant` and `gptq` are not installed")
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    kinds = [
        {"kind": "none"},
        {"kind": "full"},
        {"kind": "head"},
        {"kind": "lora"},
        {"kind": "prefix", "virtual_tokens": 3},
        {"kind": "prompt", "virtual_tokens": 3},
        {"kind": "vera", "options": {"r": 4}},
    ]
    base = read_recipe(small_recipe, ["grid=null", "training.epochs=2", "price_per_hour=1"])
    raw = base.model_dump(mode="json")
    search = {"over": {"seed": [0]}, "trials": 1, "train_limit": 10, "epochs": 1}
    recipe = validate(raw | {"grid": {"tuning": kinds}, "search": search}, source="test")
    runs = expand(recipe)
    assert [len(trials(run)) for run in runs] == [1] * len(kinds)
    written = raw | {
        "model": {"path": str(small_decoder), "max_length": 1500},
        "prompt": {"style": "chat-json"},
        "tuning": {"kind": "none", "shots": 1},
    }
    ways = [{"decoding": way, "max_new_tokens": 4} for way in ("greedy", "beams", "sample")]
    constrained = {"constrain": "span", "reasoning_limit": 2, "max_new_tokens": 4}
    trained = {"tuning": {"kind": "full"}, "evaluation": constrained}
    runs += expand(validate(written | {"grid": {"evaluation": ways}}, source="test"))
    runs += expand(validate(written | trained, source="test"))
    parts = [{"kind": "lora"}, {"kind": "prefix", "virtual_tokens": 3}]
    runs += expand(validate(written | {"tuning": {"kind": "stack", "parts": parts}}, source="test"))
    (tmp_path / "text.txt").write_text("Anna met Ben in Rome.\n" * 4)
    wide = {"path": str(wide_decoder), "max_length": 1500, "calibration_samples": 2}
    held = written | {"model": wide | {"calibration": str(tmp_path / "text.txt")}}
    precisions = {"grid": {"model.quantize": ["nf4", "gptq-int4"]}, "tuning": {"kind": "lora"}}
    runs += expand(validate(held | precisions, source="test"))
    prices = {"input_price": 1, "output_price": 1, "max_price": 9, "logprobs": 2}
    with scripted() as script:
        model = {"endpoint": script.url, "name": "m", "api": prices}
        runs += expand(validate(written | {"model": model}, source="test"))
        do(runs, tmp_path)
    chosen = {"model": {"path": str(small_decoder), "max_length": 400}, "tuning": {"kind": "lora"}}
    tasks = small_tasks(tmp_path / "tasks").values()
    do([validate(chosen | {"task": task}, source="test") for task in tasks], tmp_path / "chosen")
    do([validate(chosen | {"task": mixture()}, source="test")], tmp_path / "mixed")

    declared = {
        (owner.__name__, name)
        for owner in settings_classes()
        for name in owner.model_fields
        if name != "kind"  # it chose the class when it was read
    }
    assert declared - reads - READ_BY_THE_EXPERIMENT - READ_AT_A_BAD_ROW == set()


def do(runs: list[Recipe], folder: Path) -> None:
    check(runs)
    for number, (run, label) in enumerate(zip(runs, labels(runs), strict=True)):
        directory = RunDirectory(folder / str(number))
        execute(run, label, directory, quiet=True, stop=lambda: False)
        assert directory.read_manifest().status == "ok", directory.read_manifest().message
