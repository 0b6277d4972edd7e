"""Virtual tokens on an encoder: PEFT trains and stores them, this module lays them out.

    prompt tuning   [ virtual | question | context ]   logits of the virtual positions are cut off
    prefix tuning   every layer: keys and values [ virtual | question | context ], queries unchanged

PEFT's own forward pass drops token types and position ids on their way to the model (0.21) and
leaves the shifted logits to the caller; here the logits stand at the input's own positions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from peft import PeftModel
from peft.config import PromptLearningConfig
from peft.utils import PeftType
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import TuningError
from tunelab.tuning.methods import INTO_LAYERS


class SpanScores(NamedTuple):
    """What transformers' question-answering models return, as far as it is read here."""

    start_logits: Tensor
    """[batch, length]."""
    end_logits: Tensor
    """[batch, length]."""


class PromptedEncoder(nn.Module):
    """A prompt-learning PEFT model that is called like the encoder it wraps.

    Raises:
        TuningError: prefix tuning of an architecture whose layers take no past keys and values.
    """

    def __init__(self, adapted: PeftModel) -> None:
        super().__init__()
        self.adapted = adapted
        config = cast("PromptLearningConfig", adapted.active_peft_config)
        self.virtual_tokens: int = config.num_virtual_tokens
        self.into_layers = PeftType(config.peft_type).value.lower() in INTO_LAYERS
        encoder = self.encoder
        self.longest = _longest(encoder)
        self.enabled = True
        accepted = inspect.signature(encoder.base_model.forward).parameters
        if self.into_layers and "past_key_values" not in accepted:
            raise TuningError(
                f"{type(encoder).__name__} cannot be prefix-tuned: its layers take no past keys "
                "and values.",
                hint="Use tuning.kind=prompt (virtual tokens at the input) or lora instead.",
            )

    @property
    def encoder(self) -> PreTrainedModel:
        """The model the virtual tokens are given to."""
        return cast("PreTrainedModel", self.adapted.base_model)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> SpanScores:
        """Start and end logits at the positions of `input_ids`.

        Args:
            input_ids: [batch, length].
            attention_mask: [batch, length], 1 at real tokens; None if there is no padding.
            token_type_ids: [batch, length], where the model knows them.

        Raises:
            TuningError: virtual and real tokens together exceed the model's positions.
        """
        batch, length = input_ids.shape
        if not self.enabled:
            return self._read(attention_mask, token_type_ids, input_ids=input_ids)
        if self.longest is not None and self.virtual_tokens + length > self.longest:
            raise TuningError(
                f"{self.virtual_tokens} virtual tokens and a window of {length} tokens exceed the "
                f"{self.longest} positions of {type(self.encoder).__name__}.",
                hint=f"Set model.max_length={self.longest - self.virtual_tokens} or lower.",
            )
        virtual = self.adapted.get_prompt(batch)
        mask = self._in_front(attention_mask, value=1)
        if self.into_layers:
            return self._read(mask, token_type_ids, input_ids=input_ids, past_key_values=virtual)
        words = self.encoder.get_input_embeddings()(input_ids)
        rows = torch.cat((virtual.to(words.dtype), words), dim=1)
        shifted = self._read(mask, self._in_front(token_type_ids, value=0), inputs_embeds=rows)
        return SpanScores(
            shifted.start_logits[:, self.virtual_tokens :],
            shifted.end_logits[:, self.virtual_tokens :],
        )

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """No virtual tokens, for a while."""
        self.enabled = False
        try:
            yield
        finally:
            self.enabled = True

    def _read(
        self, attention_mask: Tensor | None, token_type_ids: Tensor | None, **inputs: Tensor
    ) -> Any:
        if token_type_ids is not None:  # many encoders do not take the argument, even as None
            inputs["token_type_ids"] = token_type_ids
        return self.encoder(attention_mask=attention_mask, **inputs)

    def _in_front(self, values: Tensor | None, *, value: int) -> Tensor | None:
        if values is None:
            return None
        return nn.functional.pad(values, (self.virtual_tokens, 0), value=value)


def _longest(encoder: PreTrainedModel) -> int | None:
    """Tokens that fit the table of absolute positions; None where positions are relative.

    RoBERTa and its family keep the rows up to the padding index unused.
    """
    for name, module in encoder.base_model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return None
