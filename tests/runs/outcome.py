"""What a run leaves but times: two executions of one recipe must agree in it byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunelab.records import RunDirectory, find_runs

Outcome = Mapping[str, object]


def outcome(directory: RunDirectory) -> Outcome:
    """Steps, weights, predictions, scores and proofs."""
    manifest = directory.read_manifest()
    return {
        "status": manifest.status,
        "proofs": manifest.proofs,
        "threshold": manifest.no_answer_threshold,
        "steps": [
            step.model_dump(exclude={"seconds", "peak_memory_bytes"})
            for step in directory.read_steps()
        ],
        "weights": {path.name: path.read_bytes() for path in directory.weights()},
        "predictions": _content(directory.predictions),
        "scores": _content(directory.scores),
    }


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def differences(whole: Path, cut: Path) -> list[str]:
    """Where two output directories differ, and results that are lost or there twice."""
    wanted = {run.path.name: run for run in find_runs(whole)}
    there = {run.path.name: run for run in find_runs(cut)}
    told = [f"{name} is lost" for name in wanted if name not in there]
    told += [f"{name} is there besides" for name in there if name not in wanted]
    for name in wanted.keys() & there.keys():
        whole_one, cut_one = outcome(wanted[name]), outcome(there[name])
        told += [f"{name}: {p} differ" for p in whole_one if whole_one[p] != cut_one[p]]
        manifest = there[name].read_manifest()
        if manifest.status != "ok":
            told.append(f"{name} is {manifest.status}: {manifest.message}")
            continue
        rows = [row.id for row in there[name].read_predictions()]
        if len(set(rows)) < len(rows):
            told.append(f"{name}: {len(rows) - len(set(rows))} predictions are there twice")
        left = [path.name for path in there[name].path.rglob(".*.tmp")]
        told += [f"{name}: {each} was left behind" for each in left]
    return told
