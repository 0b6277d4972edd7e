"""Tells from an error whether memory ran out."""

from __future__ import annotations

import errno

import torch


def is_out_of_memory(error: Exception) -> bool:
    """Of whatever kind: the accelerator's, or the machine's."""
    match error:
        case torch.OutOfMemoryError() | MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case RuntimeError():  # as torch's CPU allocator has it
            return any(sign in str(error) for sign in ("DefaultCPUAllocator", "bad_alloc"))
        case _:
            return False
