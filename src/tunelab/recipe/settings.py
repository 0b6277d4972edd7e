"""What every group of settings is: frozen, and strict about its keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def as_text(value: object) -> object:
    """YAML reads 1.1 as a number; a version is a text."""
    return str(value) if isinstance(value, float) else value


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
SomeNames = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
"""Likewise, and none is fine too."""


class Settings(BaseModel):
    """A frozen group of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
