"""A recipe's runs in this process, one after the other: `tunelab run` without its workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunelab.recipe import dump, expand, labels, read_recipe
from tunelab.records import RunDirectory, write_atomically


def run_here(path: Path, out: Path, overrides: Sequence[str] = ()) -> list[RunDirectory]:
    """Do all runs of a recipe without a search, and see that they ended well."""
    from accelerate.state import AcceleratorState

    from tunelab.runs.execute import execute
    from tunelab.runs.experiment import check, plan_runs

    recipe = read_recipe(path, overrides)
    runs = expand(recipe)
    check(runs)
    write_atomically(out / "recipe.yaml", dump(recipe))
    planned = plan_runs(runs, labels(runs), out)
    for each in planned:
        AcceleratorState._reset_state(reset_partial_state=True)  # as in a process of its own
        execute(each.recipe, each.label, each.directory, quiet=True, stop=lambda: False)
        manifest = each.directory.read_manifest()
        assert manifest.status == "ok", manifest.message
    return [each.directory for each in planned]
