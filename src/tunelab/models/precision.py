"""What a user should know about the numbers that a model is computed in, before it is trained."""

from __future__ import annotations

import torch

from tunelab.recipe import Model


def has_bfloat16() -> bool:
    """Whether this machine computes products of bfloat16 itself.

    An x86 processor without AVX512-BF16 or AMX turns every number into float32 and back. Others
    than x86 are not asked.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    vectors = torch.cpu._is_avx512_supported() or torch.cpu._is_avx2_supported()
    return not vectors or torch.cpu._is_avx512_bf16_supported()


def precision_notes(settings: Model, *, trains: bool) -> tuple[str, ...]:
    """Sentences about `model.dtype`, on this machine."""
    notes: list[str] = []
    if settings.dtype != "f32" and settings.endpoint is None and not has_bfloat16():
        notes.append(
            f"model.dtype={settings.dtype}: this machine has no instructions for bfloat16 and may "
            "be several times slower with it than with model.dtype=f32"
        )
    if settings.dtype == "bf16-true" and trains:
        notes.append(
            "model.dtype=bf16-true: trained weights are bfloat16 too, and a step that changes one "
            "by less than 1/256 of it is lost; model.dtype=bf16 keeps them in float32"
        )
    return tuple(notes)
