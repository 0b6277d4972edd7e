"""What a run was predicted to need, beside what it then needed: plan.json in its directory."""

from __future__ import annotations

from pydantic import Field

from tunelab.records.contents import Record

FORECAST_VERSION = 1


class Forecast(Record):
    """The plan of one run; bytes and seconds, of one device where there are several."""

    schema_version: int = FORECAST_VERSION
    label: str
    device: str
    devices: int = 1
    sharding: str = "none"
    fits: bool
    available_bytes: int
    """Memory that the device has for it."""
    peak_memory_bytes: int
    phases: dict[str, int] = Field(default_factory=dict)
    """The worst moment of each phase."""
    parts: dict[str, int] = Field(default_factory=dict)
    """What memory is used for in the training; not all of it is there at one moment."""
    keys_and_values_bytes: int = 0
    """Kept while answers are written."""
    trained_parameters: int
    total_parameters: int
    steps: int
    largest_pass_tokens: int
    """Of the training."""
    read_tokens: int = 0
    """Of all steps, each example counted whole."""
    questions: int = 0
    """That are answered."""
    seconds_training: float
    seconds_evaluation: float
    seconds_search: float = 0.0
    disk_bytes: int
    """While the run goes on."""
    kept_bytes: int
    """Once it is finished."""
    price: float | None = None
    """In the currency of the price that was given."""
    measured: bool = False
    """Whether a few steps were measured."""
    notes: tuple[str, ...] = ()
    """What the figures rest on; those that begin with `assumed` were not counted here."""
