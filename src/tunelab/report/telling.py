"""What every form of a report says about a study beside its figures, line by line.

Conventions, notes, proofs, and what the runs were made with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tunelab.evaluation.metric import Measured
from tunelab.report.looking import how_looked
from tunelab.report.study import Items, Method, Run, Study

COMMAND = "tunelab run recipe.yaml --out DIR"
"""What makes a study again."""


def meaning(study: Study, finished: Sequence[Run]) -> list[str]:
    """What the figures are, and what a reader must know."""
    conventions = dict.fromkeys(
        _figures_are(run.measured, run.items)
        for run in finished
        if run.measured is not None and run.items is not None
    )
    units = next(run.measured.units for run in finished if run.measured is not None)
    lines = [
        *conventions,
        f"Intervals: 95 %, with the {units.group} as the unit and the seeds as a random effect; "
        "with one seed they are about that trained model alone.",
        "Verdicts: paired on the same items, corrected by Holm's method for all pairs of a "
        "metric."
        + (
            f" By {units.wider}: the same interval with whole {units.wider}s as the unit."
            if units.wider
            else ""
        ),
        *how_looked(study),
        "Times, sizes and losses: the median of the seeds, and their range. Loss, last: the mean "
        "of the last tenth of the steps. Peak memory on a CPU: growth above the idle process.",
        *notes(finished),
    ]
    lines += _about_thresholds(finished)
    if study.left_out:
        lines.append(
            f"{study.left_out} runs in the directory belong to another recipe and are left out."
        )
    return lines


def _about_thresholds(finished: Sequence[Run]) -> list[str]:
    """Where the no-answer thresholds are from, where there are any."""
    asked = {
        run.recipe.evaluation.no_answer_threshold
        for run in finished
        if run.manifest.no_answer_threshold is not None
    }
    lines = ["No-answer thresholds were chosen on validation, per run."] * ("validation" in asked)
    given = sorted(each for each in asked if isinstance(each, float))
    if given:
        told = " and ".join(f"{each:g}" for each in given)
        lines.append(f"No-answer thresholds that the recipe gives: {told}.")
    return lines


def _figures_are(measured: Measured, items: Items) -> str:
    """What the headline's figures are and how many items they are about."""
    names = " and ".join(sorted(measured.metrics[name].spoken for name in measured.headline))
    units = measured.units
    sizes = f"{len(set(items.groups)):,} {units.group}s"
    if units.wider:
        sizes += f" in {len(set(items.articles)):,} {units.wider}s"
    return f"{names}: {measured.convention}, on {len(items.ids):,} items of {sizes}."


def notes(runs: Sequence[Run]) -> list[str]:
    """Each note once, with the runs that it is about unless it is about all."""
    about: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for note in dict.fromkeys(run.manifest.notes):
            about[note].append(f"{run.manifest.label} seed {run.recipe.seed}")
    return [
        note if len(names) == len(runs) else f"{note} ({', '.join(names)})"
        for note, names in about.items()
    ]


def proofs(methods: Sequence[Method]) -> list[str]:
    """How many held, method by method, and those that did not."""
    lines: list[str] = []
    for method in methods:
        made = [(run, proof) for run in method.runs for proof in run.manifest.proofs]
        if made:
            held = sum(proof.held for _, proof in made)
            names = "; ".join(dict.fromkeys(proof.name for _, proof in made))
            lines.append(f"{method.label}: {held} of {len(made)} held ({names}).")
            lines += [
                f"{run.directory.path.name}: '{proof.name}' does not hold: "
                + " ".join(f"{proof.found} {proof.remedy}".split())
                for run, proof in made
                if not proof.held
            ]
    return lines or ["Nothing was trained."]


def circumstances(finished: Sequence[Run]) -> list[str]:
    """Hardware and versions, each once."""
    hardware = dict.fromkeys(
        ", ".join(run.manifest.hardware.values()) + f", {run.manifest.threads} threads"
        for run in finished
    )
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in run.manifest.versions.items())
        for run in finished
    )
    return [*hardware, *versions]
