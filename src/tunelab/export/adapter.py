"""An adapter as PEFT loads it, and what vLLM's documentation says of such a one.

vLLM is not run here. Its limits are those of `vllm.lora.peft_helper` and `vllm.config.lora` as
docs.vllm.ai has them for version 0.22.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tunelab.errors import RecordError
from tunelab.recipe import adapter_parts, read_written
from tunelab.records import RunDirectory
from tunelab.records.files import storage_errors

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be."""
_CONFIG = "adapter_config.json"


def copy_adapter(place: RunDirectory, folder: Path) -> tuple[str, ...]:
    """Copy a run's adapter with its tokenizer; of a stack, both adapters in their folders.

    Returns:
        What a user must know of it.

    Raises:
        RecordError: its configuration is damaged.
        StorageError: it cannot be written.
    """
    configs = [_config(place.adapter / part) for part in adapter_parts(read_written(place.recipe))]
    with storage_errors(folder):
        shutil.copytree(place.adapter, folder, dirs_exist_ok=True)
    told = ["The adapter is a copy of the run's, which was proven to load and to say the same."]
    if any(Path(str(each.get("base_model_name_or_path"))).is_absolute() for each in configs):
        told.append(
            f"{_CONFIG} names its base by a folder of the machine it was trained on "
            "(base_model_name_or_path); elsewhere, load the base by its own name, as below."
        )
    return (*told, vllm_sentence(*configs))


def vllm_sentence(*configs: dict[str, Any]) -> str:
    """Whether vLLM's documented limits allow an adapter, of these adapter_config.json."""
    obstacles = [obstacle for config in configs for obstacle in _obstacles(config)]
    if obstacles:
        return f"vLLM (not run; by its documented limits) refuses it: {'; '.join(obstacles)}."
    largest = max(map(_largest_rank, configs))
    rank = next(allowed for allowed in VLLM_RANKS if allowed >= largest)
    return (
        "vLLM (not run; by its documented limits) takes it, with --enable-lora --max-lora-rank "
        f"{rank}."
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder / _CONFIG} cannot be read: {error}.") from error


def _obstacles(config: dict[str, Any]) -> list[str]:
    kind = config.get("peft_type")
    if kind != "LORA":
        return [f"it reads LoRA alone, and this is {kind}"]
    found: list[str] = []
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        found.append(f"it serves decoders with adapters, and this one is for {config['task_type']}")
    if config.get("use_dora"):
        found.append("DoRA")
    if saved := config.get("modules_to_save"):
        found.append(f"modules stored whole ({', '.join(saved)})")
    if config.get("trainable_token_indices"):
        found.append("rows of new tokens (trainable_token_indices)")
    if config.get("bias", "none") != "none":
        found.append("trained biases")
    if _largest_rank(config) > VLLM_RANKS[-1]:
        found.append(f"rank {_largest_rank(config)}, above {VLLM_RANKS[-1]}")
    return found


def _largest_rank(config: dict[str, Any]) -> int:
    return max([config["r"], *config.get("rank_pattern", {}).values()])
