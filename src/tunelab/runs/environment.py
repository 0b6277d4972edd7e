"""What a run ran on: versions and hardware, for the manifest."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import psutil
import torch

from tunelab.models.precision import has_bfloat16
from tunelab.training.allocator import in_use

_PACKAGES = ("tunelab", "torch", "transformers", "peft", "accelerate", "numpy")
_EXTRAS = ("bitsandbytes", "llmcompressor", "compressed-tensors")


def versions() -> dict[str, str]:
    """Python and the packages that influence a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    for package in _EXTRAS:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def hardware() -> dict[str, str]:
    """Processor, cores, memory; the accelerator, or what else the figures of a CPU hang on."""
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
    }
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    else:
        bfloat16 = "with" if has_bfloat16() else "without"
        found["instructions"] = f"{torch.backends.cpu.get_cpu_capability()} {bfloat16} bfloat16"
        found["allocator"] = in_use()
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
