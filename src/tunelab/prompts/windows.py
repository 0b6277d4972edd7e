"""Questions and long contexts as windows of tokens for an encoder.

    [CLS] question [SEP] context tokens 0..k [SEP]
    [CLS] question [SEP]        context tokens k-stride..m [SEP]
                          ^ context_start

A window's target is the answer's first and last token, or [CLS] twice where the window does not
hold the whole answer. Positions count from 0 in the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunelab.data import Example
from tunelab.errors import DataError
from tunelab.recipe import Model


@dataclass(frozen=True, slots=True)
class Window:
    """One row of tokens for an encoder."""

    example: int
    """Index of the example in the list that was encoded."""
    input_ids: list[int]
    token_type_ids: list[int]
    context_start: int
    """Position of the first context token."""
    offsets: list[tuple[int, int]]
    """Character range in the context of each context token."""
    null_position: int
    """Position of [CLS], which stands for "no answer"."""
    target: tuple[int, int]
    """Positions of the answer's first and last token, or `null_position` twice."""

    @property
    def answered(self) -> bool:
        """Whether the window holds the answer."""
        return self.target[0] != self.null_position


def encode_windows(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, settings: Model
) -> list[Window]:
    """All windows of all examples, in order; every example has at least one.

    Raises:
        DataError: a question leaves no room for its context.
    """
    if not examples:
        return []
    _check_room(examples, tokenizer, settings)
    encoded: Any = tokenizer(
        [example.question for example in examples],
        [example.context for example in examples],
        truncation="only_second",
        max_length=settings.max_length,
        stride=settings.stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        verbose=False,
    )
    windows: list[Window] = []
    for row, index in enumerate(encoded["overflow_to_sample_mapping"]):
        ids = encoded["input_ids"][row]
        sequence = encoded.sequence_ids(row)
        start = sequence.index(1) if 1 in sequence else len(ids)
        end = len(sequence) - sequence[::-1].index(1) if 1 in sequence else start
        null = ids.index(tokenizer.cls_token_id)
        offsets = encoded["offset_mapping"][row][start:end]
        found = _answer_tokens(examples[index], offsets)
        windows.append(
            Window(
                example=index,
                input_ids=ids,
                token_type_ids=encoded["token_type_ids"][row],
                context_start=start,
                offsets=offsets,
                null_position=null,
                target=(start + found[0], start + found[1]) if found else (null, null),
            )
        )
    return windows


def _answer_tokens(example: Example, offsets: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """First and last token, counted from the first of `offsets`, that cover the first answer."""
    if not example.answers:
        return None
    begin = example.answers[0].start
    end = begin + len(example.answers[0].text)
    covering = [i for i, (first, last) in enumerate(offsets) if last > begin and first < end]
    if not covering or offsets[covering[0]][0] > begin or offsets[covering[-1]][1] < end:
        return None
    return covering[0], covering[-1]


def _check_room(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, settings: Model
) -> None:
    """Every window must advance: room for the context beyond the tokens that windows share."""
    special = tokenizer.num_special_tokens_to_add(pair=True)
    questions: Any = tokenizer([e.question for e in examples], add_special_tokens=False)
    for example, ids in zip(examples, questions["input_ids"], strict=True):
        room = settings.max_length - special - len(ids)
        if room <= settings.stride:
            raise DataError(
                f"Question '{example.id}' has {len(ids)} tokens: a window of model.max_length="
                f"{settings.max_length} leaves {max(room, 0)} for the context, and neighbouring "
                f"windows share model.stride={settings.stride}.",
                hint="Raise model.max_length, lower model.stride, or remove the question.",
            )
