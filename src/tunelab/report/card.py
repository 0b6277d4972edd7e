"""The model card: README.md beside the weights of a finished run, made from the run's files alone.

Its front matter is what the Hugging Face hub reads; the rest says what was trained on what, how it
scores and how sure that is, what was proven, and how to load it. Absolute paths of the machine are
cut to their last part. It is written when a run ends, and anew by `tunelab report`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from tunelab.recipe import Recipe, read_written, tuning_label
from tunelab.records import Cost, Manifest, RunDirectory, Score, write_atomically
from tunelab.report.card_loading import Head, code, loading, loading_gguf
from tunelab.report.figures import count, duration, rate, share, size

FILE = "README.md"
Kind = Literal["adapter", "model", "gguf"]
"""What the weights beside a card are; `gguf`: a model in llama.cpp's format."""


def write_card(place: RunDirectory) -> Path | None:
    """Write the card of a run beside its weights; None where the run stored none.

    Raises:
        RecordError: a file of the run is damaged.
        StorageError: the disk is full or not writable.
    """
    for folder in (place.adapter, place.model):
        if any(folder.rglob("*.safetensors")):  # of a stack, in folders of their own
            kind = "adapter" if folder == place.adapter else "model"
            write_atomically(folder / FILE, model_card(place, kind=kind))
            return folder / FILE
    return None


def model_card(place: RunDirectory, *, kind: Kind, exported: Sequence[str] = ()) -> str:
    """The card as markdown.

    Args:
        place: the run.
        kind: what the weights beside the card are.
        exported: how they came into a folder outside of the run, where they are in one.
    """
    recipe, manifest = read_written(place.recipe), place.read_manifest()
    scores = place.read_scores()
    matter = yaml.safe_dump(
        _front_matter(recipe, manifest, scores, kind=kind),
        sort_keys=False,
        allow_unicode=True,
    )
    sections = {
        "Scores": _scores(scores),
        **({"How it was exported": _bullets(exported)} if exported else {}),
        "How to load it": loading(
            recipe,
            base=shortened(recipe.model.path),
            head=_head(manifest),
            adapter=kind == "adapter",
            in_run=not exported,
        )
        if kind != "gguf"
        else loading_gguf(recipe),
        "What it was trained on": _bullets(_data(recipe, manifest)),
        "What was proven": _bullets(_proofs(manifest)),
        "What it cost": _bullets(_cost(manifest.cost)),
        "How to make it again": _again(recipe),
        "Made with": _bullets(_circumstances(manifest)),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"---\n{matter}---\n\n# {_title(recipe)}\n\n{_summary(recipe, kind)}\n\n{body}\n"


def _front_matter(
    recipe: Recipe, manifest: Manifest, scores: Mapping[str, Mapping[str, Score]], *, kind: Kind
) -> dict[str, Any]:
    """What the hub reads; of data sets only those that are on the hub."""
    task, figures = next(iter(scores.items()))
    pipeline = _PIPELINE[_head(manifest)]
    official = next(iter(figures.values())).convention  # what stands beside them has others
    told = {name: score for name, score in figures.items() if score.convention == official}
    dataset = {"name": ", ".join(map(shortened, recipe.task.test)), "type": task}
    metrics = [
        {"name": name, "type": name, "value": round(score.value, 4)} for name, score in told.items()
    ]
    result = {
        "task": {"type": pipeline},
        "dataset": dataset,
        "metrics": metrics,
    }
    matter: dict[str, Any] = {
        "base_model": shortened(recipe.model.path),
        "base_model_relation": "adapter" if kind == "adapter" else "finetune",
        "library_name": _LIBRARY[kind],
        "pipeline_tag": pipeline,
        "tags": ["tunelab", recipe.tuning.kind],
    }
    if hub := [name for name in recipe.task.train if _is_hub_id(name)]:
        matter["datasets"] = hub
    matter["metrics"] = list(told)
    matter["model-index"] = [{"name": _title(recipe), "results": [result]}]
    return matter


def _title(recipe: Recipe) -> str:
    return f"{shortened(recipe.model.path)}, {tuning_label(recipe.tuning)}, seed {recipe.seed}"


def _summary(recipe: Recipe, kind: Kind) -> str:
    what = "An adapter for" if kind == "adapter" else "A model tuned from"
    method = tuning_label(recipe.tuning)
    return (
        f"{what} `{shortened(recipe.model.path)}`, tuned by `{method}` at a learning rate of "
        f"{rate(recipe.training.learning_rate)} in the study *{recipe.name}*. Made by tunelab; "
        "every figure here is from the files of its run."
    )


def _scores(scores: Mapping[str, Mapping[str, Score]]) -> str:
    lines = [
        "| task | metric | value | 95 % interval | items |",
        "| --- | --- | ---: | --- | ---: |",
    ]
    about: dict[str, list[str]] = defaultdict(list)
    for task, figures in scores.items():
        for name, score in figures.items():
            low, high = score.low, score.high
            interval = "" if low is None or high is None else f"{low:.4g} to {high:.4g}"
            lines.append(f"| {task} | {name} | {score.value:.4g} | {interval} | {score.count:,} |")
            about[f"{task}: {score.convention}"].append(name)
    notes = [
        "Intervals are over the groups of the test set, such as paragraphs, for this one model.",
        *(f"{convention}: {', '.join(names)}" for convention, names in about.items()),
    ]
    return "\n".join([*lines, "", _bullets(notes)])


def _data(recipe: Recipe, manifest: Manifest) -> list[str]:
    """Sources as the recipe names them, counts and digests as the run found them."""
    sources = {"train": recipe.task.train, "validation": recipe.task.train}
    lines = [
        f"{part} ({', '.join(map(shortened, sources.get(part, recipe.task.test)))}): {found}"
        for part, found in manifest.data.items()
    ]
    base = ", ".join(f"{name} {value}" for name, value in manifest.model.items())
    return [*lines, f"base model {shortened(recipe.model.path)}: {base}", *manifest.notes]


def _proofs(manifest: Manifest) -> list[str]:
    return [
        f"{proof.name}: {'holds' if proof.held else 'does not hold'}. {proof.found}"
        for proof in manifest.proofs
    ]


def _cost(cost: Cost | None) -> list[str]:
    if cost is None:
        return ["Not recorded."]
    part = share(cost.trained_parameters, cost.total_parameters)
    lines = [
        f"trained parameters: {count(cost.trained_parameters)} ({part})",
        f"saved: {size(cost.saved_bytes)}",
        f"training: {duration(cost.seconds_training)}",
    ]
    if cost.peak_memory_bytes is not None:
        lines.append(f"peak memory: {size(cost.peak_memory_bytes)}")
    if cost.energy_joules is not None:
        lines.append(f"energy: {cost.energy_joules:.3g} J")
    return lines


def _again(recipe: Recipe) -> str:
    """The command, and the recipe that it takes."""
    raw = recipe.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    raw["tuning"] = recipe.tuning.model_dump(mode="json")
    text = yaml.safe_dump(_without_paths(raw), sort_keys=False, allow_unicode=True)
    return "\n\n".join(
        [
            code(["tunelab run recipe.yaml --out DIR"], "sh"),
            "with this `recipe.yaml`, in which paths are cut to their last part:",
            code(text.strip().splitlines(), "yaml"),
        ]
    )


def _circumstances(manifest: Manifest) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    hardware = ", ".join(manifest.hardware.values())
    return [versions, f"{hardware}, {manifest.threads} threads"]


def shortened(name: str) -> str:
    """An absolute path without its folders; anything else as it is."""
    return Path(name).name if Path(name).is_absolute() else name


def _without_paths(tree: object) -> object:
    match tree:
        case dict():
            return {key: _without_paths(value) for key, value in tree.items()}
        case list():
            return [_without_paths(value) for value in tree]
        case str():
            return shortened(tree)
        case _:
            return tree


def _is_hub_id(name: str) -> bool:
    """OWNER/NAME; a file has a suffix, a path more or fewer parts."""
    parts = name.split("/")
    plain = not name.startswith(("/", ".", "$", "~", "reading/"))
    return len(parts) == 2 and plain and not name.endswith((".json", ".gz"))


def _head(manifest: Manifest) -> Head:
    """What comes out of the model, told from its class."""
    name = manifest.model.get("class", "")
    if name.endswith("ForQuestionAnswering"):
        return "spans"
    return "classes" if name.endswith("ForSequenceClassification") else "text"


_LIBRARY: dict[Kind, str] = {"adapter": "peft", "model": "transformers", "gguf": "gguf"}
_PIPELINE: dict[Head, str] = {
    "spans": "question-answering",
    "classes": "text-classification",
    "text": "text-generation",
}
"""The hub's names."""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)
