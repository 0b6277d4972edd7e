"""What a report says of a study that looked at its results several times and added seeds."""

from __future__ import annotations

from collections.abc import Sequence

from tunelab.records.looks import Look
from tunelab.report.study import Study


def how_looked(study: Study) -> list[str]:
    """How often of how often, at what, and why it stopped; empty for other studies."""
    looks = study.looks
    if looks is None:
        return []
    if not looks.looks:
        return [
            "No look was taken yet: verdicts are held against the level of the first of "
            f"{len(looks.times)}, and will be taken anew ({looks.stopped or 'runs are missing'})."
        ]
    taken = ", ".join(f"{number}: {_seeds(look)}" for number, look in enumerate(looks.looks, 1))
    lines = [
        f"Looks: {len(looks.looks)} of at most {len(looks.times)} were taken, with seeds added "
        f"where a verdict was open ({taken}). All of them together err in "
        f"{100 * looks.alpha:g} of 100 studies, so a verdict's level and interval are those of its "
        "look (Pocock-type alpha spending; Holm's method within)."
    ]
    if looks.stopped:
        lines.append(f"No seed was added any more: {looks.stopped}.")
    return lines + _lost(study, looks.looks)


def not_looked_at(study: Study) -> list[str]:
    """Finished methods that no look has counted, so that they have no verdict."""
    if study.looks is None or not study.looks.looks:
        return []
    counted = study.looks.looks[-1].seeds
    return [
        f"{method.label} is not compared: no look has counted its runs yet, `tunelab run "
        "--until-separable` takes the next one"
        for method in study.methods
        if method.finished and method.label not in counted
    ]


def _seeds(look: Look) -> str:
    """How many seeds the methods had: 3, or 3 to 5."""
    counts = [len(seeds) for seeds in look.seeds.values()] or [0]
    few, many = min(counts), max(counts)
    return f"{few} seeds" if few == many else f"{few} to {many} seeds"


def _lost(study: Study, looks: Sequence[Look]) -> list[str]:
    """Runs that a look counted and that are not there any more."""
    there = {(method.label, run.recipe.seed) for method in study.methods for run in method.finished}
    counted = {(label, n) for look in looks for label, seeds in look.seeds.items() for n in seeds}
    return [
        f"A look counted {label} seed {seed}, which is not finished here any more: verdicts are "
        "without it, and may be others than they were."
        for label, seed in sorted(counted - there)
    ]
