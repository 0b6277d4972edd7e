"""A model that is being tuned: what of it should train, how it is called, what its method needs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
from peft import AdaLoraConfig, PeftModel
from peft.tuners.adalora import AdaLoraModel
from peft.tuners.adamss import AdamssModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import ProofError, TuningError
from tunelab.models.virtual import VirtualTokens
from tunelab.recipe.schema import FullTuning, HeadTuning, LoraTuning, NoTuning, StackTuning, Tuning
from tunelab.records import RunDirectory
from tunelab.tuning.prompted import Prompted
from tunelab.tuning.ranks import RankState, rank_state, restore_rank_state
from tunelab.tuning.storing import store_adapter, store_model

Stored = Literal["adapter", "model", "nothing"]


@dataclass(frozen=True, slots=True)
class TunedModel:
    """A model ready to train, with what is particular to its method.

    Call `after_backward` between the last backward pass of a step and clipping, and `after_step`
    between `optimizer.step()` and `zero_grad()`.
    """

    model: nn.Module
    """Train, move and evaluate this one."""
    tuning: Tuning
    expected: frozenset[str]
    """Names (of `model.named_parameters()`) that should train."""
    start: dict[str, Tensor] = field(default_factory=dict)
    """LoRA matrices before training, where the method changed the base (PiSSA, OLoRA)."""
    beneath: PeftModel | None = None
    """The LoRA under the virtual tokens of a stack."""

    @property
    def stored(self) -> Stored:
        """What is stored: an adapter (PEFT), a whole model (transformers), or nothing."""
        match self.tuning:
            case NoTuning():
                return "nothing"
            case FullTuning() | HeadTuning():
                return "model"
            case _:
                return "adapter"

    @property
    def adapted(self) -> PeftModel:
        """The PEFT model inside, where there is one.

        Raises:
            TypeError: the method has no adapter, or it was merged.
        """
        inner = self.model.adapted if isinstance(self.model, Prompted) else self.model
        if not isinstance(inner, PeftModel):
            raise TypeError(f"a model tuned by '{self.tuning.kind}' has no adapter")
        return inner

    @property
    def checkpoint(self) -> PreTrainedModel:
        """The transformers model at the bottom, with whatever the method put into it."""
        inner = self.model if isinstance(self.model, PreTrainedModel) else None
        return inner or cast("PreTrainedModel", self.adapted.get_base_model())

    @property
    def virtual_tokens(self) -> int:
        """Positions that prompt or prefix tuning adds to a row; never seen in the logits."""
        return self.model.virtual_tokens if isinstance(self.model, Prompted) else 0

    def virtual(self) -> VirtualTokens | None:
        """What stands in front of every sequence of a decoder; make it anew for each forward pass.

        With `checkpoint` it is all that `tokentree` needs to read with this model. None where the
        method has no virtual tokens, and while the adapter is off.
        """
        return self.model.virtual() if isinstance(self.model, Prompted) else None

    def span_logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> Tensor:
        """Start and end logits at the positions of the input, [batch, length, 2].

        Args:
            input_ids: [batch, length].
            attention_mask: [batch, length], 1 at real tokens; None if there is no padding.
            token_type_ids: [batch, length]; left out where the checkpoint knows no token types.
        """
        output = self._read(input_ids, attention_mask, token_type_ids)
        return torch.stack((output.start_logits, output.end_logits), dim=-1)

    def class_logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> Tensor:
        """Logits of the classes, [batch, classes]; arguments as for `span_logits`."""
        return self._read(input_ids, attention_mask, token_type_ids).logits

    def _read(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> Any:
        rows = {"input_ids": input_ids}
        if attention_mask is not None:
            rows["attention_mask"] = attention_mask
        if token_type_ids is not None and _knows_token_types(self.checkpoint):
            rows["token_type_ids"] = token_type_ids
        return self.model(**rows)

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that require a gradient, by name; the proofs compare with `expected`."""
        return {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Groups for AdamW: matrices decay, vectors do not; LoRA+ gives B a rate of its own.

        LoRA+ (arXiv 2402.12354): rate of B = `plus_ratio` x rate of A; all else keeps the rate.

        Raises:
            ProofError: nothing requires a gradient.
        """
        lora = self.tuning.parts[0] if isinstance(self.tuning, StackTuning) else self.tuning
        ratio = lora.plus_ratio if isinstance(lora, LoraTuning) else 1.0
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.trained_parameters().items():
            rate = learning_rate * (ratio if ".lora_B." in name else 1.0)
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        if not groups:
            raise ProofError(
                f"Nothing requires a gradient: '{self.tuning.kind}' would train 0 of the "
                f"{len(self.expected)} tensors that it should.",
                hint="Something froze them after the method was applied.",
            )
        return [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]

    def after_backward(self) -> None:
        """Add the gradient of the method's own penalty; the reported loss stays the task's.

        AdaLoRA (arXiv 2303.10512, eq. 4) keeps the factors of its singular value decomposition
        near orthogonal: orth_reg_weight x mean over all factors of ||P'P - I||_F.
        """
        if not self._adapts_with(AdaLoraModel):
            return
        weight = cast("AdaLoraConfig", self.adapted.active_peft_config).orth_reg_weight
        norms: list[Tensor] = []
        for name, matrix in self.trained_parameters().items():
            if ".lora_A." in name or ".lora_B." in name:
                gram = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
                norms.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
        if norms and weight > 0:
            (weight * torch.stack(norms).mean()).backward()

    def after_step(self, index: int) -> None:
        """Let AdaLoRA and AdaMSS share out their ranks; `index` counts all steps from 0."""
        if self._adapts_with(AdaLoraModel) or self._adapts_with(AdamssModel):
            cast("AdaLoraModel", self.adapted.base_model).update_and_allocate(index + 1)

    def method_state(self) -> RankState:
        """What the method remembers between steps besides its weights, for a checkpoint."""
        return rank_state(self.model) if isinstance(self.model, PeftModel) else {}

    def restore_method_state(self, state: RankState) -> None:
        """Put back what `method_state` returned."""
        if isinstance(self.model, PeftModel):
            restore_rank_state(self.model, state)

    def save(self, directory: Path) -> Path:
        """Write what was trained to `adapter/` or `model/` in a run directory; returns that folder.

        Raises:
            TuningError: nothing was trained.
            StorageError: the disk is full or not writable.
        """
        place = RunDirectory(directory)
        match self.stored:
            case "nothing":
                raise TuningError("Nothing was trained, so there is nothing to store.")
            case "model":
                store_model(self.checkpoint, place.model)
                return place.model
            case "adapter" if isinstance(self.tuning, StackTuning) and self.beneath is not None:
                lora, virtual = self.tuning.parts
                store_adapter(self.beneath, place.adapter / lora.kind, start=self.start)
                store_adapter(self.adapted, place.adapter / virtual.kind, start={})
                return place.adapter
            case "adapter":
                store_adapter(self.adapted, place.adapter, start=self.start)
                return place.adapter

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """The backbone without what the method added to it, for a while."""
        if isinstance(self.model, Prompted):
            beneath = self.beneath.disable_adapter() if self.beneath else nullcontext()
            with self.model.switched_off(), beneath:
                yield
        else:
            with self.adapted.disable_adapter():
                yield

    def _adapts_with(self, kind: type) -> bool:
        return isinstance(self.model, PeftModel) and isinstance(self.model.base_model, kind)


def _knows_token_types(checkpoint: PreTrainedModel) -> bool:
    accepted = inspect.signature(checkpoint.base_model.forward).parameters
    return "token_type_ids" in accepted and checkpoint.config.to_dict().get("type_vocab_size") != 1
