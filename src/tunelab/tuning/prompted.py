"""Virtual tokens: PEFT trains and stores them; encoders are given them here.

    prompt tuning   [ virtual | question | context ]   logits of the virtual positions are cut off
    prefix tuning   every layer: keys and values [ virtual | question | context ], queries unchanged

PEFT's own forward pass drops token types and position ids on their way to the model (0.21) and
leaves the shifted logits to the caller; here the logits stand at the input's own positions.
Decoders read them in a token tree (`tokentree.reading`): PEFT knows no mask of four dimensions.
"""

from __future__ import annotations

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
from tunelab.models.virtual import VirtualInputs, VirtualKeys, VirtualTokens
from tunelab.tuning.methods import INTO_LAYERS


class SpanScores(NamedTuple):
    """What transformers' question-answering models return, as far as it is read here."""

    start_logits: Tensor
    """[batch, length]."""
    end_logits: Tensor
    """[batch, length]."""


class Prompted(nn.Module):
    """A prompt-learning PEFT model, and the virtual tokens it holds for a decoder."""

    def __init__(self, adapted: PeftModel) -> None:
        super().__init__()
        self.adapted = adapted
        config = cast("PromptLearningConfig", adapted.active_peft_config)
        self.virtual_tokens: int = config.num_virtual_tokens
        self.into_layers = PeftType(config.peft_type).value.lower() in INTO_LAYERS
        self.enabled = True

    @property
    def checkpoint(self) -> PreTrainedModel:
        """The model the virtual tokens are given to."""
        return cast("PreTrainedModel", self.adapted.base_model)

    def virtual(self) -> VirtualTokens | None:
        """The virtual tokens as they are now; None while they are switched off."""
        if not self.enabled:
            return None
        prompt = self.adapted.get_prompt(1)
        if self.into_layers:
            layers = cast("Any", prompt).layers
            return VirtualKeys(tuple((self._all(x.keys), self._all(x.values)) for x in layers))
        return VirtualInputs(prompt[0])

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """No virtual tokens, for a while."""
        self.enabled = False
        try:
            yield
        finally:
            self.enabled = True

    def _all(self, states: Any) -> Tensor:
        """(heads, V, width); zeros for those that a cache with a short window has let go.

        No token sees them: the first real one already stands too far behind them.
        """
        return nn.functional.pad(states[0], (0, 0, self.virtual_tokens - states.shape[2], 0))


class PromptedEncoder(Prompted):
    """A prompt-learning PEFT model that is called like the encoder it wraps."""

    def __init__(self, adapted: PeftModel) -> None:
        super().__init__(adapted)
        self.longest = _longest(self.checkpoint)

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
                f"{self.longest} positions of {type(self.checkpoint).__name__}.",
                hint=f"Set model.max_length={self.longest - self.virtual_tokens} or lower.",
            )
        virtual = self.adapted.get_prompt(batch)
        mask = self._in_front(attention_mask, value=1)
        if self.into_layers:
            return self._read(mask, token_type_ids, input_ids=input_ids, past_key_values=virtual)
        words = self.checkpoint.get_input_embeddings()(input_ids)
        rows = torch.cat((virtual.to(words.dtype), words), dim=1)
        shifted = self._read(mask, self._in_front(token_type_ids, value=0), inputs_embeds=rows)
        return SpanScores(
            shifted.start_logits[:, self.virtual_tokens :],
            shifted.end_logits[:, self.virtual_tokens :],
        )

    def _read(
        self, attention_mask: Tensor | None, token_type_ids: Tensor | None, **inputs: Tensor
    ) -> Any:
        if token_type_ids is not None:  # many encoders do not take the argument, even as None
            inputs["token_type_ids"] = token_type_ids
        return self.checkpoint(attention_mask=attention_mask, **inputs)

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
