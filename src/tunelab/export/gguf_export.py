"""A merged model as one GGUF file, and how far it is from the model that it was made of."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import assert_never

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tunelab.errors import ModelError, ProofError
from tunelab.export.base import load_base
from tunelab.export.gguf_architecture import find_architecture
from tunelab.export.gguf_file import Checkpoint, Weights, check_quantiser, read_back, write_file
from tunelab.export.gguf_tokenizer import Vocabulary, read_vocabulary
from tunelab.export.merging import TOLERANCE, Difference, difference
from tunelab.export.scoring import SCORED, score_sentence
from tunelab.models.loading import load_config
from tunelab.recipe import NoTuning, Recipe, SquadTask, read_written, tuning_label
from tunelab.records import RunDirectory
from tunelab.tuning import TunedModel
from tunelab.tuning.parity import COARSE_TOLERANCE


def check_gguf(place: RunDirectory, recipe: Recipe, weights: Weights) -> None:
    """Refuse what cannot be written before anything is loaded.

    Raises:
        ModelError: a package or a program is missing, or llama.cpp does not run such a model.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            "--format gguf needs gguf, which is not installed.", hint="pip install 'tunelab[gguf]'"
        )
    check_quantiser(weights)
    whole = place.model.is_dir()
    find_architecture(_config(place.model) if whole else load_config(recipe.model))
    _vocabulary(recipe, place.model if whole else place.adapter)


def write_gguf(
    place: RunDirectory, whole: Path, path: Path, weights: Weights, *, score_on: int | None
) -> tuple[str, ...]:
    """Write the model in a folder as one file.

    Args:
        place: the run; its test set asks the questions that both are compared on.
        whole: the folder, as transformers writes it.
        path: the file.
        weights: how matrices are held.
        score_on: questions that are answered before and after; None: some, where the matrices
            are quantised.

    Returns:
        What a user must know of it.

    Raises:
        ModelError: llama.cpp does not run such a model.
        ProofError: the file does not say what the model says.
        StorageError: it cannot be written.
    """
    recipe = read_written(place.recipe)
    checkpoint = Checkpoint.of(whole, _config(whole))
    title = f"{Path(recipe.model.path).name}, {tuning_label(recipe.tuning)}, seed {recipe.seed}"
    told = write_file(path, checkpoint, _vocabulary(recipe, whole), weights=weights, title=title)
    wanted = (SCORED if weights.startswith("q") else 0) if score_on is None else score_on
    settings = {"path": str(whole), "revision": None, "quantize": "none"}
    model = recipe.model.model_copy(update=settings)
    base = load_base(recipe.model_copy(update={"model": model}))
    tuned = TunedModel(base.model, NoTuning(kind="none"), frozenset())
    before, answered = base.logits(tuned), base.answer(tuned, wanted) if wanted else []
    _replace_weights(base.model, path, checkpoint)
    found = difference(before, base.logits(tuned))
    _check(found, weights)
    told = (
        *told,
        f"{path.name} holds the matrices in {weights}. Unpacked again and compared with the model "
        f"that it was made of: {found.sentence}.",
    )
    if not answered:
        return told
    scored = score_sentence(
        recipe.task, answered, base.answer(tuned, wanted),
        threshold=place.read_manifest().no_answer_threshold, change=f"rounding to {weights}",
    )  # fmt: skip
    return (*told, scored)


def _replace_weights(model: PreTrainedModel, path: Path, checkpoint: Checkpoint) -> None:
    """Put what a file stands for into the model that it was made of."""
    held = model.state_dict()
    with torch.no_grad():
        for name, tensor in read_back(path, checkpoint):
            held[name].copy_(tensor)


def _check(found: Difference, weights: Weights) -> None:
    match weights:
        case "f32":
            allowed = TOLERANCE
        case "f16" | "bf16" | "q8_0":
            allowed = COARSE_TOLERANCE * found.scale
        case "q4_0" | "q4_k_m" | "q5_k_m" | "q6_k":
            return  # what they cost is told
        case _:
            assert_never(weights)
    if not found.largest <= allowed:
        raise ProofError(
            f"The file does not say what the model says: {found.sentence}; {allowed:.2g} is "
            "allowed. Nothing was written.",
            hint="Say --gguf-type f32, or export the merged model: --format merged.",
        )


def _vocabulary(recipe: Recipe, folder: Path) -> Vocabulary:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    chat = isinstance(recipe.task, SquadTask) and recipe.prompt.style != "plain"
    return read_vocabulary(tokenizer, behind_special=chat)


def _config(folder: Path) -> PretrainedConfig:
    config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    return config
