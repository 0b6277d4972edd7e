"""The tokens of a tokenizer and the embeddings of its model belong together."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunelab.errors import ModelError
from tunelab.prompts.reasoning import add_reasoning_tokens


def fit_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, reasoning_tokens: int
) -> None:
    """Add the reasoning tokens and rows for them, once every other token has its row.

    The values of the new rows hang on torch's random state.

    Raises:
        ModelError: the checkpoint has fewer embeddings than its tokenizer has tokens.
    """
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)
    check_vocabulary(tokenizer, embeddings.num_embeddings)
    if reasoning_tokens:
        add_reasoning_tokens(tokenizer, reasoning_tokens)
        model.resize_token_embeddings(max(len(tokenizer), embeddings.num_embeddings))


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Every token of the tokenizer has a row among the model's embeddings.

    Raises:
        ModelError: the embeddings are fewer than the tokenizer's ids need.
    """
    vocabulary = tokenizer.get_vocab()
    beyond = sorted((index, token) for token, index in vocabulary.items() if index >= rows)
    if beyond:
        raise ModelError(
            f"The model has {rows} embeddings, but the tokenizer goes up to id {beyond[-1][0]}: "
            f"{len(beyond)} tokens, such as '{beyond[0][1]}', have none.",
            hint="Use the tokenizer that belongs to the checkpoint, or save the checkpoint again "
            "after model.resize_token_embeddings(len(tokenizer)).",
        )
