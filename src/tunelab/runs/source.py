"""From what a user names (a run, an adapter, a checkpoint) to a loaded model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from tunelab.data import load_squad
from tunelab.errors import ModelError, UsageError
from tunelab.models.loading import load_any_tokenizer, load_config, reading_direction
from tunelab.recipe import (
    FullTuning,
    HeadTuning,
    Model,
    NoTuning,
    Prompt,
    Recipe,
    extractive,
    read_written,
    validate,
)
from tunelab.records import RunDirectory, find_runs
from tunelab.runs.decoding import DecoderFamily
from tunelab.runs.encoding import EncoderFamily
from tunelab.runs.family import load_family
from tunelab.runs.progress import Display
from tunelab.runs.trained import find_trained

LONGEST = 4096
"""Tokens of prompt and answer that a checkpoint without a recipe is asked with at most."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a name stands for; nothing is loaded yet."""

    name: str
    """What people call it."""
    recipe: Recipe
    """How it was tuned and is asked."""
    stored: Path | None = None
    """What was trained; None: nothing was."""
    threshold: float | None = None
    """The no-answer threshold that the run chose, if it did."""


def find_source(name: str) -> Source:
    """A finished run, an adapter of PEFT, or a checkpoint as it is.

    Args:
        name: a run directory, an output directory with one run, the folder of an adapter (whose
            base it names itself), a folder with a checkpoint, a bundled name or a hub id.

    Raises:
        UsageError: there are several runs, or the run did not finish.
        ModelError: the checkpoint is missing.
        RecordError: files of the run are damaged.
    """
    path = Path(name)
    if (path / "manifest.json").exists() or (path / "runs").is_dir():
        return _run(one_run(path))
    if (path / "adapter_config.json").exists():
        return _adapter(path)
    short = name.rstrip("/").rpartition("/")[2]
    return Source(short, _as_it_is(name, {"kind": "none"}))


def in_precision(source: Source, model: Mapping[str, str]) -> Source:
    """The same with `dtype` and `quantize` of these settings in place of the run's own."""
    recipe, stored = source.recipe, source.stored
    changes = dict(model)
    if stored is not None and isinstance(recipe.tuning, FullTuning | HeadTuning):
        changes["path"] = str(stored)  # a model that was tuned as a whole is its own checkpoint
        recipe = recipe.model_copy(update={"tuning": NoTuning(kind="none")})
        stored = None
    held = recipe.model.model_copy(update=changes)
    return replace(source, recipe=recipe.model_copy(update={"model": held}), stored=stored)


def load_source(source: Source) -> DecoderFamily | EncoderFamily:
    """Load it.

    Raises:
        ModelError: the checkpoint cannot be loaded.
        RecordError: the run stored no weights, or they are damaged.
    """
    recipe = source.recipe
    # autocast is switched on by whoever asks: accelerate allows one precision a process, and
    # models of several may be loaded side by side
    return load_family(
        recipe,
        load_squad(extractive(recipe.task)).train if _needs_examples(recipe) else [],
        total_steps=1,
        accelerator=Accelerator(),
        display=Display(source.name, quiet=True),
        stored=source.stored,
    )


def _run(run: RunDirectory) -> Source:
    manifest = run.read_manifest()
    if manifest.status != "ok":
        raise UsageError(
            f"The run {run.path.name} did not finish: its status is {manifest.status}.",
            hint="`tunelab run` with the same recipe goes on with it.",
        )
    recipe = read_written(run.recipe)
    if recipe.model.endpoint is not None:
        raise UsageError(
            f"{run.path.name} asked a model behind an endpoint; there is nothing here to load.",
            hint=f"Ask {recipe.model.endpoint} itself.",
        )
    trained = find_trained(recipe, run)
    untuned = isinstance(recipe.tuning, NoTuning)
    stored = None if untuned else run.adapter if run.adapter.is_dir() else run.model
    stored = trained.stored if trained else stored
    return Source(run.path.name, recipe, stored, manifest.no_answer_threshold)


def _needs_examples(recipe: Recipe) -> bool:
    """Whether training examples are a part of the model: shown to it, or it was calibrated on."""
    shots = recipe.tuning.shots if isinstance(recipe.tuning, NoTuning) else 0
    held = (recipe.model.quantize, *recipe.evaluation.quantize)
    return shots > 0 or any(precision.startswith("gptq") for precision in held)


def _adapter(folder: Path) -> Source:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        base, kind = config["base_model_name_or_path"], config["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'adapter_config.json'} cannot be read: {error!r}.") from error
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"The adapter in {folder} does not say which checkpoint it belongs to.",
            hint="Write it as base_model_name_or_path into adapter_config.json.",
        )
    return Source(folder.name, _as_it_is(base, {"kind": str(kind).lower()}), folder)


def _as_it_is(source: str, tuning: dict[str, str]) -> Recipe:
    """How a checkpoint is asked that no recipe speaks of."""
    model = Model(path=source, dropout=0.0)
    positions = load_config(model).get_text_config().to_dict().get("max_position_embeddings")
    if reading_direction(model) == "both ways":
        longest, prompt = min(positions or model.max_length, model.max_length), Prompt()
    else:
        longest = min(positions or LONGEST, LONGEST)
        chat = load_any_tokenizer(model).chat_template
        prompt = Prompt(style="chat-json" if chat else "plain")
    model = model.model_copy(update={"max_length": longest, "stride": longest // 3})
    settings = {"model": model.model_dump(), "prompt": prompt.model_dump(), "tuning": tuning}
    return validate(settings, source=source)


def one_run(path: Path) -> RunDirectory:
    """The run in a run directory, or the one in an output directory.

    Raises:
        UsageError: there is none, or more than one.
    """
    runs = find_runs(path)
    if len(runs) > 1:
        names = "\n".join(f"  {run.path}" for run in runs)
        raise UsageError(f"{path} holds {len(runs)} runs.", hint=f"Name one of them:\n{names}")
    return runs[0]
