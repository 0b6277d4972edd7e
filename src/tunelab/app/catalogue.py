"""What the page may read: the runs, studies and checkpoints that it was started with, by name.

A visitor names things and never paths; a name that is not in the catalogue does not exist. Studies
are looked at again each time, because their runs may still be going on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import ModelError, TunelabError, UsageError, did_you_mean
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.recipe import Recipe, read_written
from tunelab.records import RunDirectory, find_runs
from tunelab.runs.source import find_source

_HERE = "`tunelab run RECIPE.yaml --out DIR` or `tunelab demo` makes one; then `tunelab app DIR`."


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that can be asked, or a run that can be looked at."""

    name: str
    """Unique in the catalogue."""
    source: str
    """A path, a bundled name or a hub id, as `find_source` takes it."""
    run: RunDirectory | None
    """None: a checkpoint or an adapter, which has no records."""

    @property
    def recipe(self) -> Recipe:
        """How it was tuned and is asked.

        Raises:
            TunelabError: the run is damaged, or the checkpoint is missing.
        """
        return read_written(self.run.recipe) if self.run else find_source(self.source).recipe

    @property
    def weights_bytes(self) -> int:
        """About what its weights take in memory; 0 where nobody knows before it is loaded."""
        if self.run is not None:
            cost = self.run.read_manifest().cost
            if cost is not None and cost.held_bytes is not None:
                return cost.held_bytes
        try:
            folder = Path(resolve_checkpoint(self.recipe.model.path))
        except ModelError:
            return 0  # loading it tells why
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


class Catalogue:
    """The runs, studies and checkpoints that were named when the page was started.

    Args:
        names: run and output directories; adapters and checkpoints as `find_source` takes them.

    Raises:
        TunelabError: one of them is nothing of the kind.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._single: list[Entry] = []
        self._studies: dict[str, Path] = {}
        for name in dict.fromkeys(names):
            path = Path(name)
            if _is_study(path):
                self._studies[_free(path.resolve().name, self._studies)] = path
            elif (path / "manifest.json").exists():
                self._single.append(Entry(path.resolve().name, name, RunDirectory(path)))
            else:
                self._single.append(Entry(find_source(name).name, name, None))

    @property
    def studies(self) -> dict[str, Path]:
        """Name -> directory, of output directories and of runs that were named by themselves.

        A run that was finished elsewhere and came without its predictions has nothing to compare.
        """
        alone = {
            each.name: each.run.path
            for each in self._single
            if each.run is not None and (each.run.predictions.exists() or not _is_ready(each))
        }
        return self._studies | alone

    def entries(self) -> list[Entry]:
        """All runs, however far they are, and the checkpoints."""
        found: dict[str, Entry] = {}
        for study, directory in self._studies.items():
            for run in _runs_of(directory):
                name = run.path.name if len(self._studies) == 1 else f"{study}/{run.path.name}"
                found[name] = Entry(name, str(run.path), run)
        for entry in self._single:
            name = _free(entry.name, found)
            found[name] = Entry(name, entry.source, entry.run)
        return list(found.values())

    def names(self) -> list[str]:
        """Of all entries."""
        return [each.name for each in self.entries()]

    def askable(self) -> list[str]:
        """The names of finished runs and of checkpoints."""
        return [each.name for each in self.entries() if _is_ready(each)]

    def scored(self) -> list[str]:
        """The names of finished runs: those with predictions."""
        return [
            each.name
            for each in self.entries()
            if each.run is not None and each.run.predictions.exists() and _is_ready(each)
        ]

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UsageError: there is none.
        """
        entries = {each.name: each for each in self.entries()}
        if name not in entries:
            raise UsageError(f"There is no run '{name[:100]}' here.", hint=_allowed(name, entries))
        return entries[name]

    def study(self, name: str) -> Path:
        """The directory of a study.

        Raises:
            UsageError: there is none of that name.
        """
        studies = self.studies
        if name not in studies:
            raise UsageError(
                f"There is no study '{name[:100]}' here.", hint=_allowed(name, studies)
            )
        return studies[name]


def found_here(directory: Path) -> list[str]:
    """The output directories in a directory, itself included; the bundled `tiny` where none is.

    Raises:
        UsageError: there are none, and no bundled decoder either.
    """
    candidates = [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]
    found = [str(path) for path in candidates if any(path.glob("runs/*/manifest.json"))]
    if found:
        return found
    try:
        resolve_checkpoint("tiny")
    except ModelError:
        raise UsageError(
            f"There is no output directory in {directory.resolve()}.", hint=_HERE
        ) from None
    return ["tiny"]


def _runs_of(directory: Path) -> list[RunDirectory]:
    try:
        return find_runs(directory)
    except UsageError:
        return []  # none has begun yet


def _is_ready(entry: Entry) -> bool:
    if entry.run is None:
        return True
    try:
        return entry.run.read_manifest().status == "ok"
    except TunelabError:
        return False  # the report of its study tells what is wrong with it


def _allowed(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name[:100], known)


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it where it is taken."""
    known, number, free = set(taken), 1, name
    while free in known:
        number += 1
        free = f"{name} ({number})"
    return free


def _is_study(path: Path) -> bool:
    """Whether it is an output directory, which may have no run yet."""
    if (path / "manifest.json").exists():
        return False
    return (path / "runs").is_dir() or (path / "recipe.yaml").exists()
