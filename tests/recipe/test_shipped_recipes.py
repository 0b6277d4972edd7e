"""Every recipe in the repository can be read, and its runs can be told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunelab.recipe import digest, expand, labels, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_a_grid_of_different_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNELAB_DATA", str(tmp_path))
    runs = expand(read_recipe(path, []))
    assert len(runs) > 1
    assert len({digest(run) for run in runs}) == len(runs)
    named = {(label, run.seed) for label, run in zip(labels(runs), runs, strict=True)}
    assert len(named) == len(runs)
