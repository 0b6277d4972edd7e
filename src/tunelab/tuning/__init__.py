"""Tuning methods: a checkpoint and a `Tuning` -> a model to train, and proof that it trained."""

from tunelab.tuning.apply import apply_tuning, check_tuning, load_tuned
from tunelab.tuning.methods import text_room
from tunelab.tuning.model import TunedModel
from tunelab.tuning.parity import reload_proofs
from tunelab.tuning.proofs import TrainingWatch

__all__ = [
    "TrainingWatch",
    "TunedModel",
    "apply_tuning",
    "check_tuning",
    "load_tuned",
    "reload_proofs",
    "text_room",
]
