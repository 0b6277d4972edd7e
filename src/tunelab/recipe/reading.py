"""From a YAML file and `key.path=value` arguments to a validated `Recipe`.

Mistakes are told by the key that was typed, with the nearest allowed one. Relative paths in the
file are relative to the file, those typed as arguments to the working directory.
"""

from __future__ import annotations

import os
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError

from tunelab.errors import RecipeError, RecordError, did_you_mean
from tunelab.recipe.schema import Recipe
from tunelab.recipe.tasks import as_mixture

RawRecipe = dict[str, Any]

_FLAT = ("grid", "search.over")
"""Tables whose keys are themselves dotted paths."""
_PATHS = ("task.train", "task.test", "task.test_ids", "model.path", "model.calibration")
"""Settings that may be paths."""
_LISTED_TASKS = ("also_evaluate", "task", "task.parts")
"""Lists of tasks."""


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and lay `key.path=value` arguments over it.

    Raises:
        RecipeError: the file is missing, is no YAML, or does not fit the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(
            f"There is no recipe file {path}.", hint="`tunelab demo` needs none."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}.") from error
    raw = _resolve_paths(_parse(text, str(path)), path.parent)
    if "task" in raw:
        raw["task"] = as_mixture(raw["task"])  # so that settings find its weights
    for override in overrides:
        _apply(override, raw)
    return validate(_resolve_paths(raw, Path.cwd()), source=str(path))


def read_written(path: Path) -> Recipe:
    """Read a recipe that a run wrote; its data need not be on this machine.

    Raises:
        RecordError: it cannot be read.
        RecipeError: it does not fit the schema.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordError(f"{path} cannot be read: {error}.") from error
    return validate(raw, source=str(path))


def validate(raw: RawRecipe, *, source: str) -> Recipe:
    """Check a raw recipe against the schema; `source` names it in messages."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        problem, hint = _explain(error.errors()[0])
        raise RecipeError(f"{source} does not fit: {problem}", hint=hint) from error


def dump(recipe: Recipe) -> str:
    """A recipe as YAML, every setting written out."""
    return yaml.safe_dump(
        recipe.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True
    )


class _Loader(yaml.SafeLoader):
    """YAML as it is, but a key that stands twice is a mistake: its first value would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; a repeated key raises a `YAMLError`."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # the schema knows none
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' stands twice; several values are a list under `grid`",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _parse(text: str, source: str) -> RawRecipe:
    try:
        raw = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RecipeError(f"{source}{place} is no valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{source} is no valid YAML: {error}.") from error
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise RecipeError(
            f"{source} should hold keys such as task, model, tuning; it holds {found}.",
            hint="See docs/recipe.md for an example.",
        )
    return raw


def _apply(override: str, raw: RawRecipe) -> None:
    """Lay one `key.path=value` over `raw`, in place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(
            f"'{override}' is no setting.", hint="Write key.path=value, such as training.epochs=1."
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"The value of '{override}' is no valid YAML: {error}.") from error
    for where, values in _laid_over(key, raw):
        if any(_holds(tree, key.split("."), raw) for tree in values):
            raise RecipeError(
                f"'{key}' is set by {where}, which would win over '{override}'.",
                hint=f"Change {where} in the recipe, or drop it with {where.split('.')[0]}=null.",
            )
    # a single value replaces the axis, or the search, of that name
    _drop(raw, ("grid",), key)
    _drop(raw, ("search", "over"), key)
    _set(raw, _split(key), value)


def _split(key: str) -> list[str]:
    for table in _FLAT:
        if key.startswith(table + "."):
            return [*table.split("."), key[len(table) + 1 :]]
    return key.split(".")


def _laid_over(key: str, raw: RawRecipe) -> list[tuple[str, list[object]]]:
    """Where values are listed that runs lay over the recipe, `key` among them perhaps: the cases,
    and the axes that `key` lies below. With the values, each from the top of the recipe."""
    grid, search = raw.get("grid"), raw.get("search")
    found: list[tuple[str, list[object]]] = []
    if isinstance(grid, dict) and isinstance(grid.get("cases"), list):
        found.append(("grid.cases", grid["cases"]))
    for table, axes in (("grid", grid), ("search.over", _get(search, "over"))):
        for axis, values in axes.items() if isinstance(axes, dict) else ():
            if key.startswith(f"{axis}.") and isinstance(values, list):
                trees: list[object] = [_placed(axis.split("."), value) for value in values]
                found.append((f"{table}.{axis}", trees))
    return found


def _placed(path: Sequence[str], value: object) -> RawRecipe:
    tree: RawRecipe = {}
    _set(tree, path, value)
    return tree


def _get(tree: object, name: str) -> object:
    return tree.get(name) if isinstance(tree, dict) else None


def _holds(tree: object, path: Sequence[str], below: object) -> bool:
    """Whether `path` leads to a value in `tree`, or into one that replaces what lies below.

    A table with its kind replaces the other; of tasks, one of another kind.
    """
    place = ""
    for name in path:
        if not isinstance(tree, dict):
            return True
        adds = place == "task" and tree.get("kind") == (_get(below, "kind") or "squad")
        if "kind" in tree and not adds:
            return True
        if name not in tree:
            return False
        place, tree, below = name, tree[name], _get(below, name)
    return True


def _drop(raw: RawRecipe, table: tuple[str, ...], key: str) -> None:
    """Take `key` out of a table; a table that is then empty goes, with the group it is in."""
    tree: Any = raw
    for name in table:
        tree = tree.get(name) if isinstance(tree, dict) else None
    if isinstance(tree, dict) and key in tree:
        del tree[key]
        if not tree:
            raw[table[0]] = None


def _set(tree: RawRecipe, path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        child = tree.get(name)
        if not isinstance(child, dict):
            child = tree[name] = {}
        tree = child
    tree[path[-1]] = value


def _resolve_paths(raw: RawRecipe, base: Path) -> RawRecipe:
    """Make paths of data files and checkpoints absolute; hub ids, names and $VARIABLE/... stay."""

    def resolve(value: object) -> object:
        match value:
            case str():
                return _resolve_path(value, base)
            case list():
                return [resolve(item) for item in value]
            case _:
                return value

    def walk(tree: object, dotted: str) -> object:
        if isinstance(tree, dict):
            return {key: walk(value, f"{dotted}.{key}".strip(".")) for key, value in tree.items()}
        if dotted == "grid.cases" and isinstance(tree, list):
            return [walk(case, "") for case in tree]
        axis = dotted.removeprefix("grid.").removeprefix("search.over.")
        if axis != dotted:
            return [walk(each, axis) for each in tree] if isinstance(tree, list) else tree
        if dotted in _LISTED_TASKS and isinstance(tree, list):
            return [walk(task, "task") if isinstance(task, dict) else task for task in tree]
        return resolve(tree) if dotted in _PATHS else tree

    resolved = walk(raw, "")
    assert isinstance(resolved, dict)
    return resolved


def _resolve_path(text: str, base: Path) -> str:
    if text.startswith("$"):
        expand_variables(text)  # told now, not when the data are needed
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 - keeps "./" to look at
    path = base / expanded
    looks_like_path = expanded.startswith((".", "/")) or expanded.endswith(
        (".json", ".jsonl", ".gz", ".parquet", ".txt")
    )
    return str(path.resolve()) if looks_like_path or path.exists() else expanded


def expand_variables(text: str) -> str:
    """Put the value of the environment variable that a path begins with.

    Raises:
        RecipeError: the variable is not set.
    """
    expanded = os.path.expandvars(text)
    if expanded.startswith("$"):
        variable = expanded.split("/")[0]
        raise RecipeError(
            f"The path '{text}' names {variable}, which is not set.",
            hint=f"export {variable.strip('${}')}=FOLDER, or write the path out.",
        )
    return expanded


def _explain(detail: Any) -> tuple[str, str]:
    """A pydantic error as a sentence about the key that was typed, and a hint."""
    keys, allowed = _walk_schema(detail["loc"])
    dotted = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        return f"there is no setting '{dotted}'.", did_you_mean(keys[-1], allowed)
    if detail["type"] == "missing":
        return f"'{dotted}' is missing.", ""
    if detail["type"] == "union_tag_invalid":
        tag, known = detail["ctx"]["tag"], detail["ctx"]["expected_tags"]
        kinds = [name.strip("' ") for name in known.split(",")]
        return f"'{dotted}.kind' is '{tag}', which is no kind.", did_you_mean(tag, kinds)
    if detail["type"] == "union_tag_not_found":
        return f"'{dotted}' has no kind.", f"Write for example {dotted}: {{kind: lora, rank: 8}}."
    if detail["type"] == "value_error":
        return f"'{dotted}': {detail['ctx']['error']}.", ""
    message = detail["msg"][0].lower() + detail["msg"][1:].replace("tuple", "list")
    return f"'{dotted}' is {detail['input']!r}, but {message}.", ""


def _walk_schema(location: Sequence[str | int]) -> tuple[list[str], set[str]]:
    """Follow an error's location through the schema.

    Returns the keys as a user types them (without pydantic's union tags), and the keys that are
    allowed where the last one stands.
    """
    keys: list[str] = []
    allowed: set[str] = set()
    annotation: Any = Recipe
    for part in location:
        tagged = _tags(annotation)
        if part in tagged:
            annotation = tagged[str(part)]
            continue
        keys.append(str(part))
        if isinstance(part, int) and get_origin(annotation) is tuple:
            items = [item for item in get_args(annotation) if item is not Ellipsis]
            annotation = _unwrap(items[min(part, len(items) - 1)])
            continue
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            allowed = set(annotation.model_fields)
            field = annotation.model_fields.get(str(part))
            annotation = _unwrap(field.rebuild_annotation()) if field else None
    return keys, allowed


def _tags(annotation: Any) -> dict[str, Any]:
    """The classes of a tagged union by their tags."""
    tags: dict[str, Any] = {}
    if get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            if get_origin(member) is Annotated:
                inner, *marks = get_args(member)
                tags.update({mark.tag: inner for mark in marks if isinstance(mark, Tag)})
    return tags


def _unwrap(annotation: Any) -> Any:
    """Strip `Annotated` and `| None` off an annotation."""
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0])
    members = [member for member in get_args(annotation) if member is not type(None)]
    if get_origin(annotation) in (Union, types.UnionType) and len(members) == 1:
        return _unwrap(members[0])
    return annotation
