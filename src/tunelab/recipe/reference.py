"""Writes docs/recipe.md from the schema: `python -m tunelab.recipe.reference > docs/recipe.md`."""

from __future__ import annotations

import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tunelab.recipe.schema import (
    Api,
    Evaluation,
    Model,
    Prompt,
    Recipe,
    Search,
    Task,
    Training,
    Tuning,
)

_HEAD = """\
# The recipe

A recipe is a YAML file; every setting has a default, so an empty one would do. Settings typed
behind it, as `key.path=value`, lie over the file. Unknown keys are refused. Paths in the file are
relative to the file, those typed as arguments to the working directory; both may begin with an
environment variable.

```yaml
name: methods
task: {kind: squad, version: "2.0", train: train-v2.0.json.gz, test: dev-v2.0.json.gz}
model: {path: distilbert-base-uncased, dtype: bf16}
training: {epochs: 3, batch_size: 16}
search: {over: {training.learning_rate: [3.0e-5, 1.0e-4, 3.0e-4]}, trials: 3, train_limit: 800}
grid:
  cases:
    - tuning: {kind: full}
    - tuning: {kind: lora, rank: 8}
      search: {over: {training.learning_rate: [3.0e-4, 1.0e-3, 3.0e-3]}}
  seed: [0, 1, 2]
```

The runs of a grid are its `cases`, each merged over the recipe, times the product of its other
lists, which are named by dotted path. The tables below are made from the schema.
"""


def reference() -> str:
    """The page: one table a group of settings."""
    tasks, tunings = (
        [get_args(member)[0] for member in get_args(get_args(union)[0])] for union in (Task, Tuning)
    )
    groups: list[tuple[str, type[BaseModel]]] = [
        ("Top level", Recipe),
        *((f"task: {_kind(task)}", task) for task in tasks),
        ("model", Model),
        ("model.api", Api),
        ("prompt", Prompt),
        *((f"tuning: {_kind(tuning)}", tuning) for tuning in tunings),
        ("training", Training),
        ("evaluation", Evaluation),
        ("search", Search),
    ]
    return "\n".join([_HEAD, *(_section(title, group) for title, group in groups)])


def _section(title: str, group: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_type(field.rebuild_annotation())} | {_default(field)} | {_text(field)} |"
        for name, field in group.model_fields.items()
    ]
    described = " ".join((group.__doc__ or "").split())
    head = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", described, "", *head, *rows, ""])


def _kind(tuning: type[BaseModel]) -> str:
    kinds = get_args(tuning.model_fields["kind"].annotation)
    return str(kinds[0]) if kinds else "any other PEFT method"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    members = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{member}`" for member in members)
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_type, members)))
    if get_origin(annotation) is tuple:
        return f"list of {_type(members[0])}"
    if get_origin(annotation) is dict:
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation.__name__.endswith("Task"):
            return "task"
        return "group" if annotation.__name__ in _GROUPS else "tuning"
    names = {"str": "text", "int": "whole number", "float": "number", "NoneType": "nothing"}
    return names.get(annotation.__name__, "yes or no" if annotation is bool else "anything")


_GROUPS = {"Api", "Model", "Prompt", "Training", "Evaluation", "Search"}


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    match value:
        case None | {}:
            return ""
        case BaseModel():
            return "see below"
        case ():
            return ""
        case tuple():
            return f"`{', '.join(map(str, value))}`"
        case bool():
            return "no" if not value else "yes"
        case _:
            return f"`{value}`"


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
