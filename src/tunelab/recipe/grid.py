"""From one recipe to the runs it describes: cases x axes, labels, digests, and search trials.

All of it is a function of values; nothing is read or written here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from tunelab.errors import RecipeError
from tunelab.recipe.reading import RawRecipe, validate
from tunelab.recipe.schema import (
    Api,
    FullTuning,
    HeadTuning,
    LoraTuning,
    NoTuning,
    PeftTuning,
    PrefixTuning,
    PromptTuning,
    Recipe,
    Tuning,
)


def expand(recipe: Recipe) -> list[Recipe]:
    """The resolved recipes of a grid, in the order written: cases outermost, last axis fastest.

    A recipe without a grid is a grid of one. Equal runs appear once.
    """
    grid = dict(recipe.grid or {})
    cases = grid.pop("cases", ({},))
    base = _raw(recipe) | {"grid": None}
    runs: dict[str, Recipe] = {}
    for case, *values in itertools.product(cases, *grid.values()):
        if not isinstance(case, dict):
            raise RecipeError(f"A case of grid.cases is {case!r}; it should hold keys.")
        raw = merge(base, case)
        for path, value in zip(grid, values, strict=True):
            raw = merge(raw, _nested(path, value))
        run = validate(raw, source="a run of the grid")
        runs.setdefault(digest(run), run)
    return list(runs.values())


def trials(run: Recipe) -> list[Recipe]:
    """The trial runs that choose the settings of `run`; empty without a search.

    Every case gets the same number of trials, the same examples and the same seed, and is
    measured on validation only. If the product of the lists is larger than `trials`, members are
    taken at even distances, the first and the last included.
    """
    search = run.search
    if search is None:
        return []
    product = list(itertools.product(*search.over.values()))
    count = min(search.trials, len(product))
    chosen = [product[round(i * (len(product) - 1) / max(count - 1, 1))] for i in range(count)]
    base = _raw(run) | {"search": None, "seed": 0, "track": ()}
    limits = {
        "task": {"train_limit": search.train_limit} if search.train_limit else {},
        "training": {"epochs": search.epochs} if search.epochs else {},
        "evaluation": {"split": "validation", "ablations": (), "contamination": False},
    }
    return [
        validate(
            merge(_with_settings(base, dict(zip(search.over, values, strict=True))), limits),
            source="a trial of the search",
        )
        for values in chosen
    ]


def with_settings(run: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """`run` with settings by dotted path, and its search done."""
    raw = _with_settings(_raw(run) | {"search": None}, settings)
    return validate(raw, source="a run with its searched settings")


def setting(recipe: Recipe, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = _raw(recipe)
    for name in path.split("."):
        value = value[name]
    return value


DEFAULTS = 1
"""Raised whenever the default of a setting changes: then older runs are other runs."""


def digest(recipe: Recipe) -> str:
    """8 hexadecimal digits of everything that influences a run's result.

    Defaults are not spelt out, so that a setting added later leaves older runs what they are.
    """
    ignored = {"name", "price_per_hour", "grid", "track"}
    api = Api(logprobs=recipe.model.api.logprobs, options=recipe.model.api.options)
    model = recipe.model.model_copy(update={"api": api})  # without patience, keys and prices
    recipe = recipe.model_copy(update={"model": model})
    content = recipe.model_dump(mode="json", exclude=ignored, exclude_defaults=True)
    content["defaults"] = DEFAULTS
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def labels(runs: list[Recipe]) -> list[str]:
    """A short label for each run, equal for runs that differ in their seed alone.

    The tuning's own label, and behind it the settings that tell runs of one tuning apart.
    """
    flat = [_named(_flatten(_raw(run) | {"seed": None, "search": None})) for run in runs]
    names = [tuning_label(run.tuning) for run in runs]
    namesakes: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        namesakes[name].append(index)
    result = list(names)
    for members in namesakes.values():
        keys = {key for index in members for key in flat[index]}
        keys.discard("tuning.shots")  # a part of the name
        differing = sorted(k for k in keys if len({repr(flat[i].get(k)) for i in members}) > 1)
        if "model.path" in differing:  # a model's name stands for the settings that go with it
            rows = [flat[index] for index in members]
            differing = [k for k in differing if not _goes_with_path(k, rows)]
        for index in members:
            told = [k for k in differing if not _goes_without_saying(k, flat[index])]
            extra = [f"{k.rpartition('.')[2]}={_short(flat[index].get(k))}" for k in told]
            result[index] = ",".join([names[index], *extra])
    return result


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """A model behind an endpoint goes by its name there."""
    name = row.pop("model.name")
    return row | {"model.path": name} if row["model.endpoint"] else row


def _goes_without_saying(key: str, row: Mapping[str, Any]) -> bool:
    """Whether a way of asking or answering is the usual one."""
    usual = _flatten(_raw(Recipe()))
    return key.startswith(("prompt.", "evaluation.")) and row.get(key) == usual.get(key)


def _goes_with_path(key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a setting of the model has one value per model."""
    values = {(repr(row.get("model.path")), repr(row.get(key))) for row in rows}
    paths = {path for path, _ in values}
    return key.startswith("model.") and key != "model.path" and len(values) == len(paths)


def tuning_label(tuning: Tuning) -> str:
    """A method's name as it stands in tables, such as `lora-r8` or `dora-r16`."""
    match tuning:
        case NoTuning(shots=shots) if shots:
            return f"{tuning.kind}-{shots}-shot"
        case NoTuning() | FullTuning() | HeadTuning() | PeftTuning():
            return tuning.kind
        case PrefixTuning() | PromptTuning():
            return f"{tuning.kind}-{tuning.virtual_tokens}"
        case LoraTuning():
            parts = [name for name in ("rslora", "dora") if tuning.model_dump()[name]]
            parts += [tuning.init] if tuning.init != "default" else []
            parts += ["lora+"] if tuning.plus_ratio != 1 else []
            return "-".join([*(parts or ["lora"]), f"r{tuning.rank}"])
        case _:
            assert_never(tuning)


def merge(base: RawRecipe, over: Mapping[str, Any]) -> RawRecipe:
    """Lay `over` over `base`, table by table. A tuning that names its kind replaces the other."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        replaces = key == "tuning" and isinstance(value, dict) and "kind" in value
        if isinstance(below, dict) and isinstance(value, dict) and not replaces:
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _with_settings(raw: RawRecipe, settings: Mapping[str, Any]) -> RawRecipe:
    for path, value in settings.items():
        raw = merge(raw, _nested(path, value))
    return raw


def _nested(path: str, value: object) -> RawRecipe:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _flatten(tree: object, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{path}.{key}".strip("."))
    return flat


def _raw(recipe: Recipe) -> RawRecipe:
    return recipe.model_dump(mode="json")


def _short(value: object) -> str:
    match value:
        case list():
            return "+".join(_short(item) for item in value)
        case str():
            return value.rstrip("/").rpartition("/")[2]
        case _:
            return str(value)
