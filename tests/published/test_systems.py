"""`make recipes` knows the recipes that there are, and what it types can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main
from benchmarks.systems import SYSTEMS, page_of, words

from tunelab.cli import app

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_has_its_recipes_and_its_page(name: str) -> None:
    for path in (f"recipes/{name}.yaml", f"recipes/small/{name}.yaml", f"docs/systems/{name}.md"):
        assert (ROOT / path).exists()
    page = (ROOT / "docs" / "systems" / f"{name}.md").read_text()
    assert f"recipes/{name}.yaml" in page
    assert f"recipes/small/{name}.yaml" in page


@pytest.mark.parametrize("name", SYSTEMS)
def test_its_stages_are_what_the_command_line_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNELAB_DATA", str(tmp_path))
    known = typer.main.get_command(app)
    for template in SYSTEMS[name].commands:
        command = template.format(recipe=ROOT / "recipes" / "small" / f"{name}.yaml", out=tmp_path)
        first, *rest = shlex.split(command)
        known.commands[first].make_context(first, rest)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_pattern_stands_for_the_directory_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", str(tmp_path))
    (tmp_path / "LoRA_r8-seed0-0a1b2c3d").mkdir()
    found = words("export $WHERE/LoRA_r8-* --to here")
    assert found == ["export", str(tmp_path / "LoRA_r8-seed0-0a1b2c3d"), "--to", "here"]


def test_a_page_has_the_stages_and_the_table_without_its_picture() -> None:
    table = "# EXPERT, small\n\n| method |\n\n![Risk against coverage](risk-coverage.svg)\n"
    page = page_of("expert", {"run recipes/small/expert.yaml --out out": 61.2}, table)
    assert page.startswith("# EXPERT, small\n\nMade by `make recipes`")
    assert "| `tunelab run recipes/small/expert.yaml --out out` | 61 |" in page
    assert "| method |" in page
    assert "![" not in page
