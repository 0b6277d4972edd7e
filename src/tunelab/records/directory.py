"""Where things lie in a run directory (design 4.3), and how they are read and written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tunelab.errors import RecordError, UsageError, VersionError
from tunelab.records.contents import (
    READABLE_VERSIONS,
    FileRecord,
    Manifest,
    OrderShard,
    Prediction,
    PredictionBrief,
    Scores,
    Step,
)
from tunelab.records.files import RecordT, file_digest, read_lines, write_atomically
from tunelab.records.forecast import Forecast

_SCORES = TypeAdapter(Scores)
_WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run: `DIR/runs/<label>-<digest>/`."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """Status, versions, cost, proofs."""
        return self.path / "manifest.json"

    @property
    def plan(self) -> Path:
        """What the run was predicted to need, where it was planned."""
        return self.path / "plan.json"

    @property
    def steps(self) -> Path:
        """One line an optimiser step."""
        return self.path / "steps.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Training states to go on from."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """What PEFT loads, where the method is an adapter."""
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """What transformers loads, where the method trains the model itself."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """One line a test item."""
        return self.path / "predictions.jsonl"

    def ablated(self, ablation: str) -> Path:
        """The predictions of an ablation, such as question-only."""
        return self.path / f"predictions-{ablation}.jsonl"

    @property
    def contamination(self) -> Path:
        """Log-probabilities of the test questions in their order and in others, where asked for."""
        return self.path / "contamination.jsonl"

    @property
    def answers(self) -> Path:
        """The predictions as a spreadsheet, where `tunelab report --answers` wrote it."""
        return self.path / "answers.csv"

    @property
    def scores(self) -> Path:
        """Metrics with intervals and conventions."""
        return self.path / "scores.json"

    @property
    def error(self) -> Path:
        """Why the run failed, with the traceback where it is a defect."""
        return self.path / "error.txt"

    def read_manifest(self) -> Manifest:
        """Read manifest.json; a damaged one or one of a later version is a `RecordError`."""
        return _read(self.manifest, Manifest)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write manifest.json; the last act of every change of status."""
        write_atomically(self.manifest, manifest.model_dump_json(indent=2) + "\n")

    def read_plan(self) -> Forecast | None:
        """None where the run was not planned, or by another version."""
        try:
            return Forecast.model_validate_json(self.plan.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write_plan(self, forecast: Forecast) -> None:
        """Write plan.json."""
        write_atomically(self.plan, forecast.model_dump_json(indent=2) + "\n")

    def read_steps(self) -> list[Step]:
        """All steps so far; empty before the first one."""
        return read_lines(self.steps, Step, appended=True) if self.steps.exists() else []

    def read_predictions(self) -> list[Prediction]:
        """All test items."""
        self._refuse_missing_predictions()
        return read_lines(self.predictions, Prediction, appended=False)

    def read_answers(self) -> Sequence[Prediction]:
        """All test items, as far as scoring needs them: without the other candidates."""
        self._refuse_missing_predictions()
        return read_lines(self.predictions, PredictionBrief, appended=False)

    def _refuse_missing_predictions(self) -> None:
        if not self.predictions.exists():
            raise RecordError(
                f"{self.path.name} has no predictions.jsonl.",
                hint="The run did not finish; `tunelab run` with the same recipe continues it.",
            )

    def write_predictions(
        self, predictions: list[Prediction], *, ablation: str | None = None
    ) -> None:
        """Write all test items in one step; those of an ablation into a file of their own."""
        path = self.predictions if ablation is None else self.ablated(ablation)
        write_atomically(path, "".join(row.model_dump_json() + "\n" for row in predictions))

    def read_ablated(self, ablation: str) -> list[Prediction]:
        """All test items under an ablation."""
        return self._read_lines(self.ablated(ablation), Prediction)

    def write_contamination(self, shards: list[OrderShard]) -> None:
        """Write the log-probabilities of all orders in one step."""
        write_atomically(
            self.contamination, "".join(row.model_dump_json() + "\n" for row in shards)
        )

    def read_contamination(self) -> list[OrderShard]:
        """The log-probabilities of all orders."""
        return self._read_lines(self.contamination, OrderShard)

    def read_scores(self) -> Scores:
        """Read scores.json."""
        try:
            return _SCORES.validate_json(self.scores.read_bytes())
        except (OSError, ValidationError) as error:
            raise RecordError(f"{self.scores} cannot be read: {error}.") from error

    def write_scores(self, scores: Scores) -> None:
        """Write scores.json."""
        write_atomically(self.scores, _SCORES.dump_json(scores, indent=2) + b"\n")

    def _read_lines(self, path: Path, kind: type[RecordT]) -> list[RecordT]:
        if not path.exists():
            raise RecordError(
                f"{self.path.name} has no {path.name}, which its recipe asks for.",
                hint="It was removed. `tunelab run` with the same recipe makes it anew.",
            )
        return read_lines(path, kind, appended=False)

    def weights(self) -> list[Path]:
        """The stored weights; the tokenizer and the model card beside them do not count."""
        folders = (self.adapter, self.model)
        return [path for folder in folders for path in sorted(folder.rglob(f"*{_WEIGHTS}"))]

    def file_records(self) -> dict[str, FileRecord]:
        """Size and SHA-256 of what a finished run leaves."""
        left = [*self.weights(), *sorted(self.path.glob("*.jsonl")), self.scores]
        return {
            str(path.relative_to(self.path)): FileRecord(
                bytes=path.stat().st_size, sha256=file_digest(path)
            )
            for path in left
            if path.exists()
        }

    def damaged_files(self, manifest: Manifest) -> list[str]:
        """What of a finished run is gone or not what it was.

        Of weights, which may be large and which nothing is computed from again, the size alone is
        looked at.
        """
        return [
            name
            for name, wanted in manifest.files.items()
            if not (self.path / name).is_file()
            or (self.path / name).stat().st_size != wanted.bytes
            or (not name.endswith(_WEIGHTS) and file_digest(self.path / name) != wanted.sha256)
        ]


def find_runs(directory: Path) -> list[RunDirectory]:
    """The runs below an output directory, in the order of their names.

    Accepts `DIR` (with `runs/` inside) or one run directory itself.
    """
    if (directory / "manifest.json").exists():
        return [RunDirectory(directory)]
    runs = sorted(path.parent for path in (directory / "runs").glob("*/manifest.json"))
    if not runs:
        raise UsageError(
            f"No runs in {directory}: there is no {directory / 'runs'}/*/manifest.json.",
            hint="Give the directory that `tunelab run RECIPE.yaml --out DIR` wrote.",
        )
    return [RunDirectory(path) for path in runs]


def _read(path: Path, kind: type[RecordT]) -> RecordT:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} cannot be read: {error}.",
            hint="`tunelab run` with the same recipe makes it anew.",
        ) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise RecordError(
            f"{path} has no schema version: it is no record of tunelab, or it was damaged.",
            hint="`tunelab run` with the same recipe makes it anew.",
        )
    if version not in READABLE_VERSIONS:
        known = " and ".join(map(str, READABLE_VERSIONS))
        raise VersionError(
            f"{path} has schema version {version}; this tunelab reads versions {known}.",
            hint="Install the version of tunelab that wrote it.",
        )
    return _validated(content, kind, path)


def _validated(content: object, kind: type[RecordT], path: Path) -> RecordT:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise RecordError(f"{path}: {first['msg']} at {where}.") from error
