"""Chooses a run's settings by its trials, and adds up what that took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.evaluation.measure import primary
from tunelab.recipe import (
    Chosen,
    Recipe,
    candidates,
    is_searched,
    labels,
    rungs,
    task_name,
    trial,
)
from tunelab.records import Manifest, SearchCost
from tunelab.runs.planned import Planned, plan_runs

Do = Callable[[Sequence[Planned]], Iterator[Manifest]]
"""Does runs, those that are missing; their manifests in the same order."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    settings: Chosen | None
    """None where no trial succeeded."""
    cost: SearchCost
    why: str
    """What the last trial that did not succeed said."""


def search(run: Recipe, out: Path, *, do: Do, say: Callable[[str], None]) -> Found | None:
    """The settings of `run` that are best on validation; None where nothing is searched for.

    What goes on is measured anew on every rung, and the last rung decides. On equal scores the
    settings that are listed first win.
    """
    if run.search is None or not is_searched(run):
        return None
    going = candidates(run.search)
    done: list[Planned] = []
    why = ""
    for rung in rungs(run.search):
        going = going[: rung.candidates]
        tried = [trial(run, settings, rung) for settings in going]
        scored: list[tuple[float, Chosen]] = []
        planned = plan_runs(tried, labels(tried), out)
        for item, settings, manifest in zip(planned, going, do(planned), strict=True):
            done.append(item)
            if manifest.status == "ok":
                score = _validation_score(item)
                scored.append((score, settings))
                metric = primary(run.task)
                say(f"trial {item.directory.path.name}: validation {metric} {score:.4g}")
            else:
                why = f"{manifest.status}: {manifest.message}"
                say(f"trial {item.directory.path.name}: {manifest.status}")
        going = [settings for _, settings in sorted(scored, key=lambda pair: -pair[0])]
    return Found(going[0] if going else None, _cost(run, done), why)


def _validation_score(item: Planned) -> float:
    task = item.recipe.task
    return item.directory.read_scores()[task_name(task)][primary(task)].value


def _cost(run: Recipe, done: Sequence[Planned]) -> SearchCost:
    """Of all trials; one that failed took at least its training steps."""
    seconds, examples = 0.0, 0
    for item in done:
        steps = item.directory.read_steps()
        cost = item.directory.read_manifest().cost
        examples += steps[-1].examples if steps else 0
        seconds += (
            cost.seconds_training + cost.seconds_evaluation
            if cost
            else sum(step.seconds for step in steps)
        )
    hourly = run.price_per_hour
    return SearchCost(
        trials=len(done),
        examples=examples,
        seconds=seconds,
        price=hourly * seconds / 3600 if hourly else None,
    )
