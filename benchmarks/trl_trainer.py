"""TRL's SFTTrainer, in the ways that it can be run on a CPU.

What it is given is what tunelab trains on: the same tokens, and the same examples in every
optimiser step. Within a step they are sorted by length and cut into passes of `examples_a_pass`
(gradient accumulation), which leaves less padding than TRL's own grouping by length, and memory
for as many passes only. Loss on the completion alone, autocast where tunelab has it, no gradient
checkpointing (TRL's default, a third slower), nothing logged or saved while the clock runs.

`padding_free` lays the examples of a pass into one row behind one another. TRL means it for
FlashAttention; on a CPU transformers makes a block mask of the positions. TRL's packing
(`packing=True`) computes the same rows, only filled across steps, so it is not tried apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from benchmarks.alternation import Baton
from benchmarks.decoder_sides import TrlSetting
from benchmarks.turns import Turns
from tunelab.prompts.encoded import EncodedExample
from tunelab.recipe import Training


def train_with_trl(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    steps: Sequence[Sequence[EncodedExample]],
    settings: Training,
    setting: TrlSetting,
    *,
    baton: Baton,
    bf16: bool,
    folder: Path,
) -> None:
    """Train one epoch on the examples of each step."""
    disable_progress_bars()
    together = setting.examples_a_pass or settings.batch_size
    arguments = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=together,
        gradient_accumulation_steps=settings.batch_size // together,
        padding_free=setting.padding_free,
        max_length=None,
        completion_only_loss=True,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        num_train_epochs=1,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    by_length = [each for step in steps for each in sorted(step, key=lambda e: -len(e.ids))]
    columns = {
        "input_ids": [list(each.ids) for each in by_length],
        "completion_mask": [list(map(int, each.targets)) for each in by_length],
    }
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    trainer.add_callback(Turns(baton, trainer.take_step_loss))
    trainer.train()


class _Trainer(SFTTrainer):
    """The SFTTrainer as it is, which also adds up the loss of a step."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._step_loss = torch.tensor(0.0)

    def compute_loss(self, *positional: Any, **named: Any) -> Any:
        loss = super().compute_loss(*positional, **named)
        self._step_loss += loss.detach()  # TRL divides by the targets of the whole step
        return loss

    def take_step_loss(self) -> float:
        """The loss of the step that ends."""
        loss = self._step_loss.item()
        self._step_loss.zero_()
        return loss
