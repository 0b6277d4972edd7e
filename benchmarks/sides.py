"""The two trainings that are compared, each from the same facts to the end, in its own process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alternation import Baton
from tunelab.data import Example
from tunelab.recipe import FullTuning, Model, Training
from tunelab.training.schedule import epoch_order


@dataclass(frozen=True, slots=True)
class Work:
    """What both sides do: full fine-tuning for one epoch."""

    examples: list[Example]
    model: Model
    training: Training
    seed: int


def usual_side(baton: Baton, *, work: Work, ignore_padding: bool) -> None:
    """The usual recipe, with the examples in tunelab's order."""
    from benchmarks.usual_trainer import train_usual
    from tunelab.models.encoder import load_encoder

    encoder = load_encoder(work.model, seed=work.seed)
    order = epoch_order([e.group for e in work.examples], seed=work.seed, epoch=0)
    with tempfile.TemporaryDirectory() as folder:
        train_usual(
            encoder.model,
            encoder.tokenizer,
            [work.examples[index] for index in order],
            work.training,
            baton=baton,
            bf16=work.model.dtype == "bf16",
            ignore_padding=ignore_padding,
            folder=Path(folder),
        )


def tunelab_side(baton: Baton, *, work: Work) -> None:
    """What `tunelab run` does between loading and saving."""
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    from benchmarks.turns import train_in_turns
    from tunelab.models.encoder import load_encoder
    from tunelab.prompts.windows import encode_windows
    from tunelab.training.spans import SpanObjective
    from tunelab.tuning import apply_tuning

    set_seed(work.seed)
    accelerator = Accelerator(mixed_precision="bf16" if work.model.dtype == "bf16" else "no")
    encoder = load_encoder(work.model, seed=work.seed)
    tuned = apply_tuning(
        encoder.model, FullTuning(kind="full"), total_steps=len(work.examples), seed=work.seed
    )
    tuned.model.to(accelerator.device)
    objective = SpanObjective(
        tuned,
        work.examples,
        encode_windows(work.examples, encoder.tokenizer, work.model),
        work.training,
        accelerator=accelerator,
        pad_id=encoder.pad_id,
    )
    train_in_turns(
        tuned, objective, work.training, accelerator=accelerator, seed=work.seed, baton=baton
    )
