"""Studies as `tunelab run` would write them, without running anything."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.steps import step

from tunelab.evaluation.scores import squad_scores
from tunelab.recipe import (
    Recipe,
    digest,
    expand,
    extractive,
    labels,
    read_recipe,
    untuned_on_own,
)
from tunelab.records import Cost, Manifest, Prediction, RunDirectory, Status, append_line
from tunelab.report.ledger import BASE

RECIPE: dict[str, Any] = {
    "name": "a | study",
    "task": {"version": "1.1"},
    "grid": {"tuning": [{"kind": "full"}, {"kind": "lora"}, {"kind": "head"}], "seed": [0, 1, 2]},
}


def predictions(right: Sequence[bool], *, prefix: str = "q") -> list[Prediction]:
    """Four questions on each paragraph, two paragraphs in each article."""
    return [
        Prediction(
            id=f"{prefix}{index:03}",
            group=f"p{index // 4}",
            article=f"a{index // 8}",
            output="right" if correct else "wrong",
            answer="right" if correct else "wrong",
            gold=("right",),
        )
        for index, correct in enumerate(right)
    ]


def cost(seconds: float) -> Cost:
    return Cost(
        seconds_training=seconds,
        seconds_evaluation=1.0,
        peak_memory_bytes=3 * 2**20,
        trained_parameters=1_500,
        total_parameters=3_000,
        saved_bytes=2**20,
        tokens_per_second=1234.0,
    )


class Writer:
    """Writes the runs of a study as `tunelab run` would."""

    def __init__(self, out: Path, recipe: Mapping[str, Any] = RECIPE) -> None:
        self.out = out
        out.mkdir(parents=True)
        (out / "recipe.yaml").write_text(yaml.safe_dump(dict(recipe)))
        runs = expand(read_recipe(out / "recipe.yaml"))
        self.runs = {(n, run.seed): run for n, run in zip(labels(runs), runs, strict=True)}

    def write(
        self,
        label: str,
        seed: int,
        rows: list[Prediction] | None,
        *,
        status: Status = "ok",
        message: str = "",
    ) -> RunDirectory:
        recipe = self.runs[label, seed]
        return self._write(self.out, recipe, label, rows, status=status, message=message)

    def write_untuned(self, label: str, rows: list[Prediction]) -> RunDirectory:
        """The untuned model on the task of a method, asked as it is."""
        recipe = next(run for (name, _), run in self.runs.items() if name == label)
        return self._write(self.out / BASE, untuned_on_own(recipe), "squad", rows)

    def _write(
        self,
        out: Path,
        recipe: Recipe,
        label: str,
        rows: list[Prediction] | None,
        *,
        status: Status = "ok",
        message: str = "",
    ) -> RunDirectory:
        seed = recipe.seed
        place = RunDirectory(out / "runs" / f"{label}-seed{seed}-{digest(recipe)}")
        place.path.mkdir(parents=True)
        place.recipe.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        if rows is not None:
            place.write_predictions(rows)
            place.write_scores(squad_scores(rows, version=extractive(recipe.task).version))
            for number in range(1, 9):
                append_line(
                    place.steps, step(number, examples=16 * number, loss=5.0 / number, seconds=1.5)
                )
        place.write_manifest(
            Manifest(
                label=label,
                digest=digest(recipe),
                status=status,
                message=message,
                cost=cost(60.0 + seed) if status == "ok" else None,
                notes=("validation: a note",),
                loss_first=5.0,
                loss_last=1.0 + seed,
            )
        )
        return place


def three_methods(out: Path) -> Path:
    """Full is right on 3 of 4, LoRA on 1 of 4; a head run failed and two are missing."""
    writer = Writer(out)
    for seed in range(3):
        wrong = random.Random(seed).sample(range(64), 16)
        full = [index not in wrong for index in range(64)]
        lora = [not correct for correct in full]
        writer.write("full", seed, predictions(full))
        writer.write("lora-r8", seed, predictions(lora))
    writer.write("head", 0, None, status="diverged", message="The loss is nan.\nLower it.")
    return writer.out
