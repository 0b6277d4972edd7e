"""Tokens without a meaning of their own, between the prompt and the answer.

They give the model a few more positions to compute in. They are part of the prompt: fixed, not
trained as targets, and fed to the model when it answers. Their embeddings are trained, from the
loss of the answers behind them.

`vocabulary.fit_vocabulary` makes room for them in a model; full tuning and LoRA train the new rows
(`new_tokens` of `tuning.apply_tuning`).
"""

from __future__ import annotations

from transformers import AddedToken, PreTrainedTokenizerBase

from tunelab.errors import ModelError


def reasoning_token_names(count: int) -> tuple[str, ...]:
    """The names of the first `count` reasoning tokens."""
    return tuple(f"<blah_{index}>" for index in range(count))


def add_reasoning_tokens(tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[int, ...]:
    """Add the tokens that are not there yet, as special tokens; the ids of all `count`."""
    names = reasoning_token_names(count)
    tokenizer.add_tokens(
        [AddedToken(name, normalized=False, special=True) for name in names], special_tokens=True
    )
    return reasoning_token_ids(tokenizer, count)


def reasoning_token_ids(tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[int, ...]:
    """The ids of the first `count` reasoning tokens.

    Raises:
        ModelError: the tokenizer does not know them.
    """
    known: dict[str, int] = tokenizer.get_added_vocab()  # pyright: ignore[reportCallIssue, reportOptionalCall]
    names = reasoning_token_names(count)
    missing = [name for name in names if name not in known]
    if missing:
        raise ModelError(
            f"The tokenizer does not know the reasoning token {missing[0]}.",
            hint=f"prompt.reasoning_tokens={count} needs a model tuned with at least as many; "
            "they are added before it is tuned.",
        )
    return tuple(known[name] for name in names)
