"""What a run has cost: seconds, bytes, tokens, energy, and the price of that."""

from __future__ import annotations

from dataclasses import dataclass

from tunelab.models.quantise_held import held_bytes, parameter_count
from tunelab.records import Cost
from tunelab.training.loop import Outcome
from tunelab.tuning import TunedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a run used, as it was measured; its training tells of every step by itself."""

    trained: Outcome | None
    seconds: float
    """Of this session, from the run's first line."""
    seconds_evaluation: float
    answered_tokens: int
    peak_memory_bytes: int
    energy_joules: float | None


def cost(used: Used, tuned: TunedModel, *, saved_bytes: int, hourly: float | None) -> Cost:
    """The cost of a model at hand.

    Args:
        hourly: price of an hour on this machine.
    """
    steps = used.trained.steps if used.trained else []
    peaks = [step.peak_memory_bytes for step in steps if step.peak_memory_bytes is not None]
    training = sum(step.seconds for step in steps)
    # of a run that was taken up again, this session has not seen everything
    resumed = used.trained is not None and used.trained.resumed
    busy = training + used.seconds_evaluation
    answers = used.answered_tokens and used.seconds_evaluation
    return Cost(
        seconds_training=training,
        seconds_evaluation=used.seconds_evaluation,
        peak_memory_bytes=max([*peaks, used.peak_memory_bytes]),
        trained_parameters=sum(p.numel() for p in tuned.trained_parameters().values()),
        total_parameters=parameter_count(tuned.model),
        saved_bytes=saved_bytes,
        tokens_per_second=sum(step.tokens for step in steps) / training if training else None,
        seconds_overhead=None if resumed else used.seconds - busy,
        held_bytes=held_bytes(tuned.model),
        answering_tokens_per_second=used.answered_tokens / used.seconds_evaluation
        if answers
        else None,
        energy_joules=None if resumed else used.energy_joules,
        price=hourly * busy / 3600 if hourly else None,
    )


def cost_of_asking(seconds: float, *, price: float | None) -> Cost:
    """The cost of a model behind an endpoint, of which only time and price are known here."""
    return Cost(
        seconds_training=0.0,
        seconds_evaluation=seconds,
        peak_memory_bytes=None,
        trained_parameters=0,
        total_parameters=0,
        saved_bytes=0,
        tokens_per_second=None,
        price=price,
    )
