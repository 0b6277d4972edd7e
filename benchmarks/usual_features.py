"""Questions as rows of tokens in the usual way: transformers' question-answering recipe.

Written apart from tunelab.prompts, so that what is compared with tunelab shares no code with it.
A row is a window of `MAX_LENGTH` tokens; neighbouring windows share `STRIDE` tokens of the context.
Tokens are found by walking over offsets, and an answer outside the window is labelled [CLS].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from tunelab.data import Example

MAX_LENGTH = 384
STRIDE = 128


@dataclass(frozen=True, slots=True)
class Feature:
    """One row; L tokens."""

    example: int
    """Index of its example."""
    inputs: dict[str, list[int]]
    """input_ids, attention_mask, token_type_ids: L numbers each."""
    offsets: list[tuple[int, int] | None]
    """Characters of each context token; None for the question and special tokens."""
    start: int
    """Label: first token of the answer, 0 where the row does not hold it."""
    end: int
    """Label: last token of the answer."""


def make_features(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, *, pad_to_max: bool
) -> list[Feature]:
    """All rows of all examples, in order; padded to `MAX_LENGTH` if asked, else not at all."""
    encoded: Any = tokenizer(
        [example.question.lstrip() for example in examples],
        [example.context for example in examples],
        truncation="only_second",
        max_length=MAX_LENGTH,
        stride=STRIDE,
        padding="max_length" if pad_to_max else False,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    features: list[Feature] = []
    for row, index in enumerate(encoded["overflow_to_sample_mapping"]):
        offsets = [
            (int(span[0]), int(span[1])) if part == 1 else None
            for span, part in zip(
                encoded["offset_mapping"][row], encoded.sequence_ids(row), strict=True
            )
        ]
        start, end = _label(examples[index], offsets)
        inputs = {
            name: encoded[name][row] for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        features.append(Feature(index, inputs, offsets, start, end))
    return features


def collate(features: Sequence[Feature], *, pad_id: int) -> dict[str, torch.Tensor]:
    """A batch, padded to its longest row: (B, L) inputs and (B,) labels."""
    longest = max(len(feature.offsets) for feature in features)
    fill = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0}
    batch = {
        name: torch.tensor(
            [f.inputs[name] + [value] * (longest - len(f.offsets)) for f in features]
        )
        for name, value in fill.items()
    }
    batch["start_positions"] = torch.tensor([feature.start for feature in features])
    batch["end_positions"] = torch.tensor([feature.end for feature in features])
    return batch


def _label(example: Example, offsets: Sequence[tuple[int, int] | None]) -> tuple[int, int]:
    if not example.answers:
        return 0, 0
    begin = example.answers[0].start
    finish = begin + len(example.answers[0].text)
    context = [(i, span) for i, span in enumerate(offsets) if span is not None]
    if not context or context[0][1][0] > begin or context[-1][1][1] < finish:
        return 0, 0
    first = max(i for i, span in context if span[0] <= begin)
    last = min(i for i, span in context if span[1] >= finish)
    return first, last
