"""GPTQ bases: made once by llmcompressor, kept by digest, read by every run of a grid.

    $TUNELAB_CACHE/gptq/<model>-<precision>-<digest>/     what compressed-tensors and vLLM load
                       tunelab.json                       what it was made from; written last

The digest covers the weights, the precision and the tokens of the calibration; TUNELAB_CACHE is
~/.cache/tunelab unless it is set. GPTQ (arXiv 2210.17323) rounds the columns of a layer one after
another and lets the later ones make up for the error on the calibration's activations.

A loaded base is held by our own layers (models/quantise_packed.py), because compressed-tensors
would unpack it for good at its first forward pass.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tunelab.data.reading import DEFAULT_QUESTIONS, generate
from tunelab.errors import ModelError
from tunelab.models.checkpoint import resolve_checkpoint
from tunelab.models.quantise import GROUP, NOMINAL_BITS, forget_quantiser, outside_backbone
from tunelab.models.quantise_packed import PackedLinear
from tunelab.recipe import Model, expand_variables
from tunelab.records import file_digest, write_atomically
from tunelab.records.files import storage_errors, sync_directory, sync_tree

_MARK = "tunelab.json"
_SAFE = 40
"""Characters of a model's name in the name of a folder."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What GPTQ measures activations on."""

    rows: tuple[tuple[int, ...], ...]
    """Token ids, a sequence a row."""
    source: str
    """Where the rows come from, for the record."""

    @property
    def digest(self) -> str:
        """SHA-256 of the tokens."""
        return hashlib.sha256(json.dumps(self.rows).encode()).hexdigest()

    @property
    def line(self) -> str:
        """For the manifest."""
        tokens = sum(map(len, self.rows))
        return f"{self.source}: {len(self.rows)} rows, {tokens:,} tokens, sha256 {self.digest}"


def text_calibration(settings: Model, tokenizer: PreTrainedTokenizerBase) -> Calibration:
    """The first paragraphs of what a recipe names: `reading`, or a text file, a line each.

    Raises:
        ModelError: the file is missing, is no text, or holds nothing.
    """
    assert settings.calibration is not None
    path = Path(expand_variables(settings.calibration))
    lines = _generated() if settings.calibration == "reading" else _lines(path)
    texts = [line for line in lines if line][: settings.calibration_samples]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    rows = tuple(tuple(row)[: settings.max_length] for row in ids)
    return Calibration(rows, f"model.calibration ({path.name})")


def _generated() -> list[str]:
    """The paragraphs of the generated set."""
    document = generate("train", questions=DEFAULT_QUESTIONS["train"])
    return [part["context"] for article in document["data"] for part in article["paragraphs"]]


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"The calibration text {path} cannot be read: {error}.",
            hint="Give a text file with a paragraph a line, or leave model.calibration out.",
        ) from error


def gptq_base(
    settings: Model, calibration: Calibration | None, tokenizer: PreTrainedTokenizerBase
) -> Path:
    """The folder of the quantised base; made now if it is not there yet.

    Raises:
        ModelError: there is nothing to calibrate on, or llmcompressor cannot quantise the model.
        StorageError: the disk is full or not writable.
    """
    if calibration is None or not calibration.rows:
        raise ModelError(
            f"model.quantize={settings.quantize} needs text to calibrate on, and there is none.",
            hint="Name a text file in model.calibration, or give task.train questions that fit "
            "model.max_length; int8 and nf4 need none.",
        )
    made_from = {
        "base": _weights_digests(settings),
        "precision": settings.quantize,
        "calibration": calibration.digest,
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    name = "".join(c if c.isalnum() else "-" for c in Path(settings.path).name)[:_SAFE]
    folder = cache_folder() / "gptq" / f"{name}-{settings.quantize}-{digest}"
    if (folder / _MARK).exists():
        return folder
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            made = Path(aside) / folder.name
            _make(settings, calibration, tokenizer, made)
            told = made_from | {"calibration": calibration.line}
            write_atomically(made / _MARK, json.dumps(told, indent=2) + "\n")
            _put_in_place(made, folder)
    return folder


def _put_in_place(made: Path, folder: Path) -> None:
    """Rename a finished base, so that nobody sees a part of it; one that is there already stays."""
    sync_tree(made)
    try:
        made.rename(folder)
    except OSError:
        if not (folder / _MARK).exists():  # neither room nor permission, or an unfinished one
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    sync_directory(folder.parent)


def cache_folder() -> Path:
    """Where quantised bases are kept: $TUNELAB_CACHE, or ~/.cache/tunelab."""
    return Path(os.environ.get("TUNELAB_CACHE", "~/.cache/tunelab")).expanduser()


@torch.no_grad()
def pack_layers(model: PreTrainedModel, *, dtype: torch.dtype) -> PreTrainedModel:
    """Put our own layers in place of compressed-tensors', before its first forward pass.

    Args:
        model: just loaded by transformers, its layers still compressed.
        dtype: that the layers compute in.
    """
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    for name, layer in list(model.named_modules()):
        packed = vars(layer).get("_parameters", {}).get("weight_packed")
        if packed is None:
            continue
        assert isinstance(layer, nn.Linear)
        told: Any = layer
        bits = told.quantization_scheme.weights.num_bits
        shape = torch.Size((layer.out_features, layer.in_features))
        integers = unpack_from_int32(packed, bits, shape)
        bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        scale = told.weight_scale.detach().to(dtype)
        model.set_submodule(name, PackedLinear(integers, scale, bias, bits=bits))
    told = model
    told.ct_decompress_hook.remove()
    del told.ct_decompress_hook
    forget_quantiser(model)
    return model


def _weights_digests(settings: Model) -> dict[str, str]:
    """SHA-256 of the files that the base is read from."""
    source = resolve_checkpoint(settings.path)
    if not Path(source).exists():
        from huggingface_hub import snapshot_download

        source = snapshot_download(
            source, revision=settings.revision, allow_patterns=["*.safetensors", "*.json"]
        )
    files = [*Path(source).glob("*.safetensors"), Path(source) / "config.json"]
    return {file.name: file_digest(file) for file in sorted(files)}


def _make(
    settings: Model,
    calibration: Calibration,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Quantise with llmcompressor, and write what compressed-tensors loads."""
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.entrypoints.oneshot import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from loguru import logger
    from torch.utils.data import DataLoader

    for package in ("llmcompressor", "compressed_tensors"):
        logger.disable(package)  # its import has just enabled it
    logging.getLogger("torch.fx").setLevel(logging.ERROR)
    model = AutoModelForCausalLM.from_pretrained(
        resolve_checkpoint(settings.path),
        revision=settings.revision or "main",
        dtype="auto",
        use_safetensors=True,
        trust_remote_code=False,
    )
    bits = NOMINAL_BITS[settings.quantize]
    grouped = {"strategy": "group", "group_size": GROUP} if bits == 4 else {"strategy": "channel"}
    weights = QuantizationArgs(num_bits=bits, type="int", symmetric=True, **grouped)  # pyright: ignore[reportArgumentType]
    modifier = GPTQModifier(
        config_groups={"linear": QuantizationScheme(targets=["Linear"], weights=weights)},
        ignore=outside_backbone(model),
    )
    rows = [_row(ids) for ids in calibration.rows]
    try:
        oneshot(
            model=model,
            processor=tokenizer,  # pyright: ignore[reportArgumentType]
            recipe=modifier,
            dataset=DataLoader(rows, batch_size=None),  # pyright: ignore[reportArgumentType]
            num_calibration_samples=len(rows),
            max_seq_length=settings.max_length,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"llmcompressor cannot quantise '{settings.path}' to {settings.quantize}: "
            f"{type(error).__name__}: {error}",
            hint="Use model.quantize=int8 or nf4.",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of offloading, which there is none of
        model.save_pretrained(folder, save_compressed=True)


def _row(ids: Sequence[int]) -> dict[str, torch.Tensor]:
    """A batch of one sequence."""
    tokens = torch.tensor([ids])
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
