"""Run directories are named by what differs from the defaults: these must not change in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from tunelab.recipe import Recipe, Search, Task, Tuning
from tunelab.recipe.grid import DEFAULTS

PINNED = Path(__file__).with_name("defaults.json")


def current() -> dict[str, str]:
    members = [*get_args(get_args(Tuning)[0]), *get_args(get_args(Task)[0])]
    tunings = [get_args(member)[0] for member in members]
    groups = {field.annotation for field in Recipe.model_fields.values()}
    plain = [g for g in groups if isinstance(g, type) and issubclass(g, BaseModel)]
    return {
        f"{owner.__name__}.{name}": repr(field.get_default(call_default_factory=True))
        for owner in sorted({Recipe, Search, *plain, *tunings}, key=lambda each: each.__name__)
        for name, field in owner.model_fields.items()
        if owner is not Recipe or "(" not in repr(field.default)  # groups are told by their own
    }


def test_defaults_are_those_that_are_pinned() -> None:
    pinned = json.loads(PINNED.read_text())
    assert pinned == {"defaults": DEFAULTS, **current()}, (
        "A new setting is added to tests/recipe/defaults.json. If the default of an old one "
        "changed, raise DEFAULTS in tunelab.recipe.grid as well: older runs would be misread."
    )
