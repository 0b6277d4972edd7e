"""The recipe page says what the schema says."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from tunelab.recipe import Recipe
from tunelab.recipe.reference import reference


def test_the_page_is_made_from_the_schema() -> None:
    page = Path(__file__).parents[2] / "docs" / "recipe.md"
    remake = "python -m tunelab.recipe.reference > docs/recipe.md"
    assert page.read_text() == reference(), f"run: {remake}"


def test_every_setting_is_explained() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    unexplained = [row for row in rows if row.endswith("|  |") and not row.startswith("| `kind`")]
    assert not unexplained


def test_every_group_has_a_table() -> None:
    kinds = (field.annotation for field in Recipe.model_fields.values())
    groups = {
        kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)
    }
    assert "Prompt" in groups
    page = reference()
    assert [name for name in groups if f"## {name.lower()}\n" not in page] == []
