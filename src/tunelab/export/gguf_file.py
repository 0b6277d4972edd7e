"""A model's folder, as transformers writes it, to one file that llama.cpp runs; and back.

One tensor is in memory at a time. Matrices are held in the type that is asked for, all else in
float32. `q8_0` and `q4_0` are made by the `gguf` package's own quantisers; types that it cannot
make are made by llama.cpp's program `llama-quantize`.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PretrainedConfig

from tunelab.errors import ModelError
from tunelab.export.gguf_architecture import (
    Renamed,
    describe,
    find_architecture,
    rename,
    rotary_factors,
)
from tunelab.export.gguf_tokenizer import Vocabulary
from tunelab.records.files import storage_errors

Weights = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m", "q5_k_m", "q6_k"]
"""How matrices are held."""
QUANTISER = "llama-quantize"
QUANTISED_BY_LLAMA_CPP: frozenset[Weights] = frozenset({"q4_k_m", "q5_k_m", "q6_k"})

_EMBEDDINGS = ("token_embd.weight", "output.weight")
_ROTARY = "rope_freqs.weight"
_F16_LARGEST = 65504.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The folder of a model, with what is needed of it."""

    config: PretrainedConfig
    files: Mapping[str, Path]
    """Where each tensor is."""
    renamed: Mapping[str, Renamed]
    """What llama.cpp calls each."""

    @classmethod
    def of(cls, folder: Path, config: PretrainedConfig) -> Checkpoint:
        """Look at what is there.

        Raises:
            ModelError: llama.cpp does not run it.
        """
        files: dict[str, Path] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as opened:
                files |= dict.fromkeys(opened.keys(), path)
        return cls(config, files, rename(find_architecture(config), config, files))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor."""
        with safe_open(self.files[name], framework="pt") as opened:
            return tuple(opened.get_slice(name).get_shape())

    def read(self, name: str) -> Tensor:
        """A tensor with its rows as llama.cpp has them, in float32."""
        with safe_open(self.files[name], framework="pt") as opened:
            return self.renamed[name].reorder(opened.get_tensor(name).float()).contiguous()


def write_file(
    path: Path, checkpoint: Checkpoint, vocabulary: Vocabulary, *, weights: Weights, title: str
) -> tuple[str, ...]:
    """Write a file that llama.cpp runs.

    Returns:
        What a user must know of it.

    Raises:
        ModelError: a weight does not fit into the type, or the quantiser failed.
        StorageError: it cannot be written.
    """
    if weights not in QUANTISED_BY_LLAMA_CPP:
        return _pack(path, checkpoint, vocabulary, weights=weights, title=title)
    plain = path.with_name("plain.gguf")
    try:
        told = _pack(plain, checkpoint, vocabulary, weights="f32", title=title)
        _quantise(plain, path, weights)
    finally:
        plain.unlink(missing_ok=True)
    return (*told, f"Quantised to {weights} by llama.cpp's {QUANTISER}.")


def read_back(path: Path, checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """The weights that a file stands for, under the names and with the rows of transformers."""
    from gguf import GGUFReader, dequantize

    names = {renamed.name: name for name, renamed in checkpoint.renamed.items()}
    for tensor in GGUFReader(path).tensors:
        if tensor.name != _ROTARY:
            name = names[tensor.name]
            held = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
            yield name, checkpoint.renamed[name].restore(held.reshape(checkpoint.shape(name)))


def check_quantiser(weights: Weights) -> None:
    """Refuse a type whose program is missing.

    Raises:
        ModelError: it is not on the PATH.
    """
    if weights in QUANTISED_BY_LLAMA_CPP and shutil.which(QUANTISER) is None:
        raise ModelError(
            f"{weights} is made by llama.cpp's program {QUANTISER}, which is not on the PATH.",
            hint="Install llama.cpp, or say --gguf-type q4_0, which needs no program.",
        )


def _pack(
    path: Path, checkpoint: Checkpoint, vocabulary: Vocabulary, *, weights: Weights, title: str
) -> tuple[str, ...]:
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    from gguf.constants import GGML_QUANT_VERSION
    from gguf.quants import quant_shape_to_byte_shape, quantize

    config = checkpoint.config
    writer: Any = GGUFWriter(path, find_architecture(config).name)
    writer.add_name(title)
    rows = checkpoint.shape("model.embed_tokens.weight")[0]
    told = [*describe(writer, config, rows=rows), *vocabulary.told]
    vocabulary.write(writer, rows=rows)
    kind = "ALL_F32" if weights == "f32" else f"MOSTLY_{weights.upper()}"
    writer.add_file_type(LlamaFileType[kind])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    tensors = {name: checkpoint.shape(name) for name in checkpoint.files}
    types = {
        name: GGMLQuantizationType[_type(checkpoint.renamed[name].name, shape, weights)]
        for name, shape in tensors.items()
    }
    stretched = rotary_factors(config)
    if stretched is not None:
        writer.add_tensor(_ROTARY, stretched.numpy())
    for name, shape in tensors.items():
        packed = quant_shape_to_byte_shape(shape, types[name])
        writer.add_tensor_info(
            checkpoint.renamed[name].name, packed, np.dtype("uint8"), math.prod(packed), types[name]
        )
    with storage_errors(path):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if stretched is not None:
            writer.write_tensor_data(stretched.numpy())
        for name, kind in types.items():
            tensor = checkpoint.read(name)
            if kind == GGMLQuantizationType.F16:
                _refuse_overflow(name, tensor)
            writer.write_tensor_data(quantize(tensor.numpy(), kind).view(np.uint8))
        writer.close()
    if odd := sum(kind == GGMLQuantizationType.F16 for kind in types.values() if weights[0] == "q"):
        told.append(f"{odd} matrices stay in f16: their rows do not divide into blocks of 32.")
    return tuple(told)


def _type(name: str, shape: tuple[int, ...], weights: Weights) -> str:
    """What one tensor is held in."""
    if len(shape) < 2:
        return "F32"
    if not weights.startswith("q"):
        return weights.upper()
    if shape[-1] % 32:
        return "F16"
    # as llama.cpp's own quantiser, which gives the embeddings more bits than the rest
    return "Q8_0" if name in _EMBEDDINGS else weights.upper()


def _refuse_overflow(name: str, tensor: Tensor) -> None:
    largest = float(tensor.abs().max())
    if not largest <= _F16_LARGEST:
        raise ModelError(
            f"The weights '{name}' go up to {largest:.3g}, which f16 cannot hold.",
            hint="Say --gguf-type bf16 or f32.",
        )


def _quantise(plain: Path, path: Path, weights: Weights) -> None:
    done = subprocess.run(
        [QUANTISER, plain, path, weights.upper()], capture_output=True, text=True, check=False
    )
    if done.returncode or not path.exists():
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelError(
            f"{QUANTISER} failed: {reason[0]}",
            hint="Say --gguf-type q8_0 or q4_0, which need no program.",
        )
