"""The runs of a grid: where they lie, `runs/<label>-seed<seed>-<digest>/`, and what does them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunelab.recipe import Recipe, digest
from tunelab.records import Manifest, RunDirectory
from tunelab.runs.sharing import Share

_LONGEST_NAME = 200
"""Bytes of a label in the name of a directory; a name may have 255."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A run with its label and its place."""

    recipe: Recipe
    label: str
    directory: RunDirectory


class Executor(Protocol):
    """Does runs, here or elsewhere."""

    def run_all(self, items: Sequence[Planned], *, share: Share, quiet: bool) -> Iterator[Manifest]:
        """Do the runs; their manifests in the order of `items`, however they ended."""
        ...


def plan_runs(runs: Sequence[Recipe], names: Sequence[str], out: Path) -> list[Planned]:
    """The place of each run of a grid; `names` are their labels.

    A run is known by its digest: where the grid has grown since and labels tell more, the run
    stays in the directory that it has.
    """
    return [
        Planned(run, label, RunDirectory(_place(run, label, out / "runs")))
        for run, label in zip(runs, names, strict=True)
    ]


def _place(run: Recipe, label: str, folder: Path) -> Path:
    usual = folder / f"{_file_name(label)}-seed{run.seed}-{digest(run)}"
    there = sorted(folder.glob(f"*-seed{run.seed}-{digest(run)}"))
    return there[0] if there and not usual.exists() else usual


def _file_name(label: str) -> str:
    """The label as far as file systems take it; the digest behind it tells runs apart."""
    name = "".join(c if c.isalnum() or c in "-_.=,+" else "_" for c in label)
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")
