"""From one recipe to the runs it describes: cases x axes, labels, digests.

All of it is a function of values; nothing is read or written here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from tunelab.errors import RecipeError, did_you_mean
from tunelab.recipe.reading import RawRecipe, validate
from tunelab.recipe.schema import (
    Api,
    FullTuning,
    HeadTuning,
    LoraTuning,
    NoTuning,
    PeftTuning,
    Precision,
    PrefixTuning,
    PromptTuning,
    Recipe,
    StackTuning,
    Tuning,
)


def expand(recipe: Recipe) -> list[Recipe]:
    """The resolved recipes of a grid, in the order written: cases outermost, last axis fastest.

    A recipe without a grid is a grid of one. Equal runs appear once. A list such as `tuning.shots`
    or `tuning.rank` is for the methods that have the setting; the others stand once.
    """
    grid = dict(recipe.grid or {})
    cases = grid.pop("cases", ({},))
    base = tree_of(recipe) | {"grid": None}
    runs: dict[str, Recipe] = {}
    foreign = {path for path in grid if path.startswith("tuning.")}
    for case, *values in itertools.product(cases, *grid.values()):
        if not isinstance(case, dict):
            raise RecipeError(f"A case of grid.cases is {case!r}; it should hold keys.")
        tree = merge(base, case)
        for path, value in zip(grid, values, strict=True):
            if path.startswith("tuning.") and path.split(".")[1] not in _tuning_fields(tree):
                continue
            foreign.discard(path)
            tree = merge(tree, _nested(path, value))
        run = validate(tree, source="a run of the grid")
        for part in [trained_by(run), *(_scored_in(run, each) for each in run.evaluation.quantize)]:
            runs.setdefault(digest(part), part)
    for path in sorted(foreign):
        known = {name for run in runs.values() for name in type(run.tuning).model_fields}
        raise RecipeError(
            f"grid lists {path}, but no method of the grid has that setting.",
            hint=did_you_mean(path.split(".")[1], known),
        )
    return list(runs.values())


def trained_by(run: Recipe) -> Recipe:
    """The run whose weights a run scores: itself, unless it scores them in another precision."""
    return _with_precisions(run, ())


def _scored_in(run: Recipe, precision: Precision) -> Recipe:
    return _with_precisions(run, (precision,))


def _with_precisions(run: Recipe, precisions: tuple[Precision, ...]) -> Recipe:
    evaluation = run.evaluation.model_copy(update={"quantize": precisions})
    return run.model_copy(update={"evaluation": evaluation})


def _tuning_fields(tree: RawRecipe) -> set[str]:
    """The settings of the method that a recipe names."""
    return set(type(validate(tree, source="a run of the grid").tuning).model_fields)


def with_settings(run: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """`run` with settings by dotted path, and its search done."""
    tree = tree_of(run) | {"search": None}
    for path, value in settings.items():
        tree = merge(tree, _nested(path, value))
    return validate(tree, source="a run with its searched settings")


def setting(recipe: Recipe, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = tree_of(recipe)
    for name in path.split("."):
        value = value[name]
    return value


DEFAULTS = 1
"""Raised whenever the default of a setting changes: then older runs are other runs."""


def digest(recipe: Recipe) -> str:
    """8 hexadecimal digits of everything that influences a run's result.

    Defaults are not spelt out, so that a setting added later leaves older runs what they are.
    """
    ignored = {"name", "label", "price_per_hour", "grid", "track"}
    api = Api(logprobs=recipe.model.api.logprobs, options=recipe.model.api.options)
    model = recipe.model.model_copy(update={"api": api})  # without patience, keys and prices
    recipe = recipe.model_copy(update={"model": model})
    content = recipe.model_dump(mode="json", exclude=ignored, exclude_defaults=True)
    content["defaults"] = DEFAULTS
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


_LONGEST_VALUE, _HEAD = 60, 24
"""Characters of a value in a label, and of the beginning of a longer one."""


def labels(runs: list[Recipe]) -> list[str]:
    """A short label for each run, equal for runs that differ in their seed alone.

    The label that the recipe gives, else the tuning's own, and behind it the settings that tell
    its namesakes apart; behind that `@` and the precision, where the run scores another's weights.
    """
    names = _labels([trained_by(run) for run in runs])
    return [
        "@".join((name, *run.evaluation.quantize)) for name, run in zip(names, runs, strict=True)
    ]


def _labels(runs: list[Recipe]) -> list[str]:
    same = {"seed": None, "search": None, "label": None}
    flat = [_named(_flatten(tree_of(run) | same)) for run in runs]
    names = [run.label or tuning_label(run.tuning) for run in runs]
    namesakes: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        namesakes[name].append(index)
    result = list(names)
    for members in namesakes.values():
        keys = {key for index in members for key in flat[index]}
        differing = sorted(k for k in keys if len({repr(flat[i].get(k)) for i in members}) > 1)
        rows = [flat[index] for index in members]
        for name in ("model.path", "task.kind"):  # stands for the settings that go with it
            if name in differing:
                differing = [k for k in differing if not _goes_with(k, name, rows)]
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
    usual = _flatten(tree_of(Recipe()))
    return key.startswith(("prompt.", "evaluation.")) and row.get(key) == usual.get(key)


def _goes_with(key: str, name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a setting of a group has one value for each value of the group's name."""
    values = {(repr(row.get(name)), repr(row.get(key))) for row in rows}
    names = {value for value, _ in values}
    group = name.partition(".")[0]
    return key.startswith(f"{group}.") and key != name and len(values) == len(names)


def tuning_label(tuning: Tuning) -> str:
    """A method's name as it stands in tables, such as `lora-r8` or `dora-r16`."""
    match tuning:
        case NoTuning(shots=shots) if shots:
            return f"{tuning.kind}-{shots}-shot"
        case NoTuning() | FullTuning() | HeadTuning() | PeftTuning():
            return tuning.kind
        case PrefixTuning() | PromptTuning():
            return f"{tuning.kind}-{tuning.virtual_tokens}"
        case StackTuning():
            return "+".join(map(tuning_label, tuning.parts))
        case LoraTuning():
            parts = [name for name in ("rslora", "dora") if tuning.model_dump()[name]]
            parts += [tuning.init] if tuning.init != "default" else []
            parts += ["lora+"] if tuning.plus_ratio != 1 else []
            return "-".join([*(parts or ["lora"]), f"r{tuning.rank}"])
        case _:
            assert_never(tuning)


def adapter_parts(recipe: Recipe) -> tuple[str, ...]:
    """The folders of a run's adapters below adapter/: one each for the parts of a stack, in the
    order that they are loaded in; "" where the adapter lies there itself."""
    tuning = recipe.tuning
    return tuple(part.kind for part in tuning.parts) if isinstance(tuning, StackTuning) else ("",)


def merge(base: RawRecipe, over: Mapping[str, Any]) -> RawRecipe:
    """Lay `over` over `base`, table by table.

    A tuning that names its kind replaces the other, and so does a task of another kind.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        replaces = isinstance(value, dict) and (
            (key == "tuning" and "kind" in value)
            or (key == "task" and _is_of_another_kind(value, below))
        )
        if isinstance(below, dict) and isinstance(value, dict) and not replaces:
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _is_of_another_kind(task: Mapping[str, Any], below: object) -> bool:
    kind = below.get("kind", "squad") if isinstance(below, dict) else None
    return task.get("kind", kind) != kind


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


def tree_of(recipe: Recipe) -> RawRecipe:
    """A recipe as nested tables, every setting written out."""
    return recipe.model_dump(mode="json")


def _short(value: object) -> str:
    """A value as it stands in a label; of a long one its beginning, and a hash of all of it."""
    told = _told(value)
    if len(told) <= _LONGEST_VALUE:
        return told
    head = re.sub(r"[\s,/@|]+", " ", told[:_HEAD]).strip()
    return f"{head}~{hashlib.sha256(repr(value).encode()).hexdigest()[:6]}"


def _told(value: object) -> str:
    match value:
        case list():
            return "+".join(_told(item) for item in value)
        case str():
            return value.rstrip("/").rpartition("/")[2]
        case _:
            return str(value)
