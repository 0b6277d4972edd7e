"""The usual recipe: transformers' Trainer, every row padded to 384 tokens, batches of 16 examples.

Two concessions make the comparison exact: the examples come in tunelab's order, and a batch holds
all the rows of its 16 examples (1.02 rows an example, as tunelab's steps do). Nothing is logged or
saved while the clock runs.

The usual loss takes its softmax over all positions, padding too, so at the start it is near
ln(384) = 5.95, where the loss over real tokens is near the mean of ln(length), and the model
first learns that answers do not lie in the padding. What is reported is the loss over real tokens,
from the same logits; with `ignore_padding` it is also the loss that is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from benchmarks.alternation import Baton
from benchmarks.turns import Turns
from benchmarks.usual_features import Feature, collate, make_features
from tunelab.data import Example
from tunelab.recipe import Training


def train_usual(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    settings: Training,
    *,
    baton: Baton,
    bf16: bool,
    ignore_padding: bool,
    folder: Path,
) -> None:
    """Train one epoch on `examples` in their order."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        num_train_epochs=1,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    features = make_features(examples, tokenizer, pad_to_max=True)
    pad_id = tokenizer.convert_tokens_to_ids(str(tokenizer.pad_token))
    assert isinstance(pad_id, int)
    trainer = _SpanTrainer(
        ignore_padding,
        model=model,
        args=arguments,
        train_dataset=_Rows(features),
        data_collator=lambda rows: collate(list(chain.from_iterable(rows)), pad_id=pad_id),
    )
    trainer.add_callback(Turns(baton, lambda: trainer.real_loss.item()))
    trainer.train()


class _Rows(Dataset[list[Feature]]):
    """The rows of each example."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._rows = [list(rows) for _, rows in groupby(features, key=lambda f: f.example)]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> list[Feature]:
        return self._rows[index]


class _SpanTrainer(Trainer):
    """The Trainer as it is, which also keeps the last step's loss over real tokens."""

    def __init__(self, ignore_padding: bool, **options: Any) -> None:
        super().__init__(**options)
        self._ignore_padding = ignore_padding
        self.real_loss = torch.tensor(0.0)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        del num_items_in_batch  # one batch is one step
        outputs = model(**inputs)
        padding = inputs["attention_mask"] == 0
        starts = outputs.start_logits.float().masked_fill(padding, -torch.inf)
        ends = outputs.end_logits.float().masked_fill(padding, -torch.inf)
        real = (
            F.cross_entropy(starts, inputs["start_positions"])
            + F.cross_entropy(ends, inputs["end_positions"])
        ) / 2
        self.real_loss = real.detach()
        loss = real if self._ignore_padding else outputs.loss
        return (loss, outputs) if return_outputs else loss
