"""A tokenizer of 97 words, one a token, to read what small random models say."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

TOY_STOP = 2


def toy_tokenizer() -> PreTrainedTokenizerFast:
    """Token 40 is "word40 "."""
    vocabulary = {f"word{index} ": index for index in range(3, 97)}
    backend = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2} | vocabulary, "<pad>"))
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
