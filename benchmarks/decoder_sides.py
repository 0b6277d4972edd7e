"""The trainings of a decoder that are compared, each from the same facts, in its own process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alternation import Baton
from tunelab.data import Example
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import FullTuning, Model, Prompt, Training
from tunelab.training.schedule import epoch_order, step_examples, steps_per_epoch

SEED = 0


@dataclass(frozen=True, slots=True)
class DecoderWork:
    """What all sides do: full fine-tuning for one epoch, whole paragraphs together."""

    examples: list[Example]
    model: Model
    prompt: Prompt
    training: Training


@dataclass(frozen=True, slots=True)
class TrlSetting:
    """One way of running TRL's SFTTrainer on a CPU; see `trl_trainer`."""

    examples_a_pass: int | None
    """None: all of a step."""
    padding_free: bool = False


TRL_SETTINGS: dict[str, TrlSetting] = {
    "a whole batch a pass": TrlSetting(None),
    "8 examples a pass": TrlSetting(8),
    "padding-free, 4 examples a pass": TrlSetting(4, padding_free=True),
}


def trl_side(baton: Baton, *, work: DecoderWork, setting: str) -> None:
    """TRL's SFTTrainer, with tunelab's tokens in tunelab's steps."""
    from benchmarks.trl_trainer import train_with_trl
    from tunelab.models.decoder import load_decoder

    baton.imported()
    decoder = load_decoder(work.model, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        train_with_trl(
            decoder.model,
            decoder.tokenizer,
            encoded_steps(work),
            work.training,
            TRL_SETTINGS[setting],
            baton=baton,
            bf16=work.model.dtype == "bf16",
            folder=Path(folder),
        )


def tunelab_side(baton: Baton, *, work: DecoderWork, share: bool) -> None:
    """What `tunelab run` does between loading and saving."""
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    from benchmarks.turns import train_in_turns
    from tunelab.models.decoder import load_decoder
    from tunelab.prompts.prompter import Prompter
    from tunelab.training.answers import AnswerObjective
    from tunelab.tuning import apply_tuning

    baton.imported()
    set_seed(SEED)
    accelerator = Accelerator(mixed_precision="bf16" if work.model.dtype == "bf16" else "no")
    decoder = load_decoder(work.model, seed=SEED)
    found = Prompter(decoder.tokenizer, work.prompt).encode_all(work.examples, max_length=None)
    tuned = apply_tuning(
        decoder.model, FullTuning(kind="full"), total_steps=len(work.examples), seed=SEED
    )
    groups = [example.group for example in found.examples]
    objective = AnswerObjective(
        tuned, groups, found.encoded, work.training, accelerator=accelerator, share=share
    )
    train_in_turns(tuned, objective, work.training, accelerator=accelerator, seed=SEED, baton=baton)


def encoded_steps(work: DecoderWork) -> list[list[EncodedExample]]:
    """The tokens of the examples of each optimiser step."""
    from tunelab.models.loading import load_any_tokenizer
    from tunelab.prompts.prompter import Prompter

    prompter = Prompter(load_any_tokenizer(work.model), work.prompt)
    encoded = prompter.encode_all(work.examples, max_length=None).encoded
    order = epoch_order([e.group for e in work.examples], "all", seed=SEED, epoch=0)
    size = work.training.batch_size
    return [
        [encoded[index] for index in step_examples(order, step, size)]
        for step in range(steps_per_epoch(len(order), size))
    ]
