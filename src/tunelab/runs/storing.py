"""What was trained, on disk; and the proofs that it is what was trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tunelab.data import ItemT
from tunelab.records import Proof, RunDirectory
from tunelab.records.files import storage_errors, sync_tree
from tunelab.runs.family import Trainable
from tunelab.training.devices import Devices
from tunelab.training.sharding import put_together
from tunelab.tuning import TrainingWatch, reload_proofs
from tunelab.tuning.parity import listen


def store(
    family: Trainable[ItemT],
    examples: Sequence[ItemT],
    watch: TrainingWatch,
    *,
    devices: Devices,
    directory: RunDirectory,
) -> list[Proof]:
    """Save what was trained, load it again and compare; all proofs of the run.

    Every process that holds a share of the model takes part; the first one writes.

    Raises:
        StorageError: the disk is full or not writable.
    """
    tuned = family.tuned
    proofs = [*family.proofs, *watch.proofs()]
    probe = family.probe(examples)
    said = devices.answered(lambda: listen(tuned, probe))
    shares = put_together(tuned, keep=devices.is_first) if devices.is_sharded else nullcontext()
    with shares:
        if devices.is_first:
            folder = _save(family, directory)
            proofs += reload_proofs(tuned, folder, family.fresh_base, probe, said=said)
    return proofs


def _save(family: Trainable[ItemT], directory: RunDirectory) -> Path:
    """Write it so that it outlasts a loss of power."""
    for stale in (directory.adapter, directory.model):
        shutil.rmtree(stale, ignore_errors=True)  # half written when an earlier session ended
    folder = family.tuned.save(directory.path)
    with storage_errors(folder):
        family.tokenizer.save_pretrained(folder)
        sync_tree(folder)
    return folder
