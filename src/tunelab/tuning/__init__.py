"""Tuning methods: a checkpoint and a `Tuning` -> a model to train, and proof that it trained."""

from tunelab.tuning.apply import TaskKind, TunedModel, apply_tuning, load_tuned

__all__ = ["TaskKind", "TunedModel", "apply_tuning", "load_tuned"]
