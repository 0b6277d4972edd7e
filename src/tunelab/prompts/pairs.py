"""A question and its context as one row of an encoder, to be put into a class.

    [CLS] question [SEP] context tokens 0..k [SEP]

What is too long loses the end of its context, never of its question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunelab.data import ChoiceExample
from tunelab.errors import DataError
from tunelab.prompts.windows import Window
from tunelab.recipe import Model


def encode_pairs(
    examples: Sequence[ChoiceExample], tokenizer: PreTrainedTokenizerBase, settings: Model
) -> tuple[list[Window], int]:
    """One row an example, whose target is its class twice; and how many lost a part of context.

    Raises:
        DataError: a question leaves no room for its context.
    """
    if not examples:
        return [], 0
    questions = [example.question for example in examples]
    contexts = [example.context for example in examples]
    whole: Any = tokenizer(questions, contexts, verbose=False)
    alone: Any = tokenizer(questions, verbose=False)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    for example, ids in zip(examples, alone["input_ids"], strict=True):
        if len(ids) + special >= settings.max_length:
            raise DataError(
                f"Question '{example.id}' has {len(ids)} tokens and leaves no room for its context "
                f"in model.max_length={settings.max_length}.",
                hint="Raise model.max_length, or remove the question.",
            )
    encoded: Any = tokenizer(
        questions,
        contexts,
        truncation="only_second",
        max_length=settings.max_length,
        return_token_type_ids=True,
        verbose=False,
    )
    rows = [
        Window(
            example=index,
            input_ids=ids,
            token_type_ids=types,
            context_start=0,
            offsets=[],
            null_position=0,
            target=(examples[index].answer, examples[index].answer),
        )
        for index, (ids, types) in enumerate(
            zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
        )
    ]
    shortened = sum(len(ids) > settings.max_length for ids in whole["input_ids"])
    return rows, shortened
