"""From what a user names (a run, an adapter, a checkpoint) to a model that answers."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from accelerate import Accelerator

from tunelab.answering.answerer import Answerer
from tunelab.data import Example, load_task
from tunelab.errors import ModelError, RecordError, UsageError
from tunelab.models.loading import load_any_tokenizer, load_config, reading_direction
from tunelab.recipe import Model, NoTuning, PeftTuning, Prompt, Recipe, Tuning, validate
from tunelab.records import RunDirectory, find_runs
from tunelab.runs.family import load_family
from tunelab.runs.progress import Display

LONGEST = 4096
"""Tokens of prompt and answer that a checkpoint without a recipe is asked with at most."""


def load_answerer(source: str) -> Answerer:
    """Load a finished run, an adapter of PEFT, or a checkpoint as it is.

    Args:
        source: a run directory, an output directory with one run, the folder of an adapter (whose
            base it names itself), a folder with a checkpoint, a bundled name or a hub id.

    Raises:
        UsageError: there are several runs, or the run did not finish.
        ModelError: the checkpoint is missing or cannot be loaded.
        RecordError: the run stored no weights, or its files are damaged.
    """
    path = Path(source)
    if (path / "manifest.json").exists() or (path / "runs").is_dir():
        return _load_run(_one_run(path))
    if (path / "adapter_config.json").exists():
        return _load_adapter(path)
    return _load(source.rstrip("/").rpartition("/")[2], _as_it_is(source, NoTuning(kind="none")))


def _load_run(run: RunDirectory) -> Answerer:
    manifest = run.read_manifest()
    if manifest.status != "ok":
        raise UsageError(
            f"The run {run.path.name} did not finish: its status is {manifest.status}.",
            hint="`tunelab run` with the same recipe goes on with it.",
        )
    recipe = _read_recipe(run.recipe)
    if recipe.model.endpoint is not None:
        raise UsageError(
            f"{run.path.name} asked a model behind an endpoint; there is nothing here to load.",
            hint=f"Ask {recipe.model.endpoint} itself.",
        )
    untuned = isinstance(recipe.tuning, NoTuning)
    stored = None if untuned else run.adapter if run.adapter.is_dir() else run.model
    return _load(
        run.path.name,
        recipe,
        train=load_task(recipe.task).train if _needs_examples(recipe) else [],
        stored=stored,
        threshold=manifest.no_answer_threshold,
    )


def _needs_examples(recipe: Recipe) -> bool:
    """Whether training examples are a part of the model: shown to it, or it was calibrated on."""
    shots = recipe.tuning.shots if isinstance(recipe.tuning, NoTuning) else 0
    return shots > 0 or recipe.model.quantize.startswith("gptq")


def _load_adapter(folder: Path) -> Answerer:
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
    tuning = PeftTuning(kind=str(kind).lower())
    return _load(folder.name, _as_it_is(base, tuning), stored=folder)


def _as_it_is(source: str, tuning: Tuning) -> Recipe:
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
    return Recipe(model=model, prompt=prompt, tuning=tuning)


def _load(
    name: str,
    recipe: Recipe,
    *,
    train: list[Example] | None = None,
    stored: Path | None = None,
    threshold: float | None = None,
) -> Answerer:
    # autocast is switched on around everything that an answerer does: accelerate allows one
    # precision a process, and models of several may be loaded side by side
    family = load_family(
        recipe,
        train or [],
        total_steps=1,
        accelerator=Accelerator(),
        display=Display(name, quiet=True),
        stored=stored,
    )
    return Answerer(name, recipe, family, threshold=threshold)


def _one_run(path: Path) -> RunDirectory:
    runs = find_runs(path)
    if len(runs) > 1:
        names = "\n".join(f"  {run.path}" for run in runs)
        raise UsageError(f"{path} holds {len(runs)} runs.", hint=f"Name one of them:\n{names}")
    return runs[0]


def _read_recipe(path: Path) -> Recipe:
    try:
        return validate(yaml.safe_load(path.read_text(encoding="utf-8")), source=str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordError(f"{path} cannot be read: {error}.") from error
