"""A checkpoint and a tuning -> the model to train, what of it should train, and how it is stored.

The names of the parameters that should train are found from what the method added to the
checkpoint, not from `requires_grad`: the proofs compare the two. What is stored loads with PEFT
(adapters) or transformers (whole models) alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.adalora import AdaLoraModel
from peft.tuners.adamss import AdamssModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunelab.errors import RecordError, TuningError
from tunelab.recipe.schema import (
    FullTuning,
    HeadTuning,
    LoraTuning,
    NoTuning,
    PeftTuning,
    PrefixTuning,
    PromptTuning,
    Tuning,
)
from tunelab.records.files import storage_errors
from tunelab.tuning.layers import head_names
from tunelab.tuning.methods import AdapterTuning, peft_config
from tunelab.tuning.prompted import PromptedEncoder

TaskKind = Literal["question-answering"]
Stored = Literal["adapter", "model", "nothing"]

_MOVES_THE_BASE = ("pissa", "olora")


@dataclass(frozen=True, slots=True)
class TunedModel:
    """A model ready to train, with what is particular to its method.

    Call `after_backward` between the last backward pass and clipping, `after_step` between
    `optimizer.step()` and `zero_grad()`.
    """

    model: nn.Module
    """Train, call and evaluate this; its logits stand at the positions of the input."""
    tuning: Tuning
    expected: frozenset[str]
    """Names (of `model.named_parameters()`) that should train."""
    head: tuple[str, ...]
    """Modules of the task's head, such as `qa_outputs`."""
    virtual_tokens: int = 0
    """Positions that prompt or prefix tuning adds to every row; already cut off the logits."""
    start: dict[str, Tensor] = field(default_factory=dict)
    """LoRA matrices before training, where the method changed the base (PiSSA, OLoRA)."""

    @property
    def stored(self) -> Stored:
        """What `save` writes: an adapter (PEFT), a whole model (transformers), or nothing."""
        match self.tuning:
            case NoTuning():
                return "nothing"
            case FullTuning() | HeadTuning():
                return "model"
            case _:
                return "adapter"

    @property
    def adapted(self) -> PeftModel:
        """The PEFT model inside; only where an adapter is stored."""
        inner = self.model.adapted if isinstance(self.model, PromptedEncoder) else self.model
        if not isinstance(inner, PeftModel):
            raise TypeError(f"{self.tuning.kind} has no adapter")
        return inner

    def expected_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that should train, by name, in the model's order."""
        return {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if name in self.expected
        }

    def parameter_groups(
        self, *, learning_rate: float, weight_decay: float
    ) -> list[dict[str, Any]]:
        """Groups for AdamW: matrices decay, vectors do not; LoRA+ gives B a rate of its own.

        LoRA+ (arXiv 2402.12354): rate of B = `plus_ratio` x rate of A; all else keeps the rate.
        Parameters that require no gradient are left out, so that a frozen one is seen to be.
        """
        ratio = self.tuning.plus_ratio if isinstance(self.tuning, LoraTuning) else 1.0
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.expected_parameters().items():
            if parameter.requires_grad:
                rate = learning_rate * (ratio if ".lora_B." in name else 1.0)
                decay = weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        return [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]

    def after_backward(self) -> None:
        """Add the gradient of the method's own penalty; the loss that is reported stays the task's.

        AdaLoRA (arXiv 2303.10512, eq. 4) keeps the factors of its singular value decomposition
        near orthogonal: orth_reg_weight x mean over all factors of ||P'P - I||_F.
        """
        if not self._is(AdaLoraModel):
            return
        weight = cast("AdaLoraConfig", self.adapted.active_peft_config).orth_reg_weight
        if weight <= 0:
            return
        norms: list[Tensor] = []
        for name, matrix in self.expected_parameters().items():
            if ".lora_A." in name or ".lora_B." in name:
                gram = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
                norms.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
        (weight * torch.stack(norms).mean()).backward()

    def after_step(self, step: int) -> None:
        """Let AdaLoRA and AdaMSS share out their ranks; `step` counts from 1 over the run."""
        if self._is((AdaLoraModel, AdamssModel)):
            cast("AdaLoraModel", self.adapted.base_model).update_and_allocate(step)

    def save(self, folder: Path) -> None:
        """Write what was trained, as safetensors; the folder is made, and left out for `none`.

        PiSSA and OLoRA adapters are stored as plain LoRA of twice the rank that fits the
        checkpoint as it was: W + s(BA - B0A0) = W + s[B, -B0][A; A0].
        """
        with storage_errors(folder):
            match self.stored:
                case "nothing":
                    return
                case "model":
                    cast("PreTrainedModel", self.model).save_pretrained(folder)
                case "adapter":
                    self.adapted.save_pretrained(str(folder), save_embedding_layers=False)
                    if self.start:
                        self._save_as_plain_lora(folder)

    def _save_as_plain_lora(self, folder: Path) -> None:
        tensors = _adapter_tensors(self.adapted)
        for name, before in self.start.items():
            pair, axis = (
                ((tensors[name], before), 0)
                if ".lora_A." in name
                else ((tensors[name], -before.to(tensors[name].device)), 1)
            )
            tensors[name] = torch.cat(pair, dim=axis).contiguous()
        config = copy.deepcopy(cast("LoraConfig", self.adapted.active_peft_config))
        config.init_lora_weights = True
        config.inference_mode = True
        config.r *= 2
        # alpha / r (or alpha / sqrt(r)) must stay what it was during training
        config.lora_alpha *= cast("int", 2**0.5) if config.use_rslora else 2
        save_file(tensors, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
        config.save_pretrained(str(folder))

    def _is(self, kind: type | tuple[type, ...]) -> bool:
        return isinstance(self.model, PeftModel) and isinstance(self.model.base_model, kind)


def apply_tuning(
    model: PreTrainedModel, tuning: Tuning, *, task: TaskKind, total_steps: int, seed: int
) -> TunedModel:
    """Make `model` ready to be tuned; it is changed in place and belongs to the result.

    Args:
        model: a fresh checkpoint with the head of its task.
        tuning: the method.
        task: what the head answers.
        total_steps: optimiser steps of the whole run, which AdaLoRA's schedule needs.
        seed: of the method's initialisation; the global random state is left as it was.

    Raises:
        TuningError: the method does not exist, does not know an option, or does not fit the model.
    """
    match task:
        case "question-answering":
            head = head_names(model)
    match tuning:
        case NoTuning():
            model.requires_grad_(False)
            return TunedModel(model, tuning, frozenset(), head)
        case FullTuning():
            model.requires_grad_(True)
            return TunedModel(model, tuning, _names(model), head)
        case HeadTuning():
            model.requires_grad_(False)
            inside = tuple(f"{name}." for name in head)
            expected = frozenset(name for name in _names(model) if name.startswith(inside))
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name in expected)
            return TunedModel(model, tuning, expected, head)
        case LoraTuning() | PrefixTuning() | PromptTuning() | PeftTuning():
            config = peft_config(model, tuning, total_steps=total_steps)
            base = list(model.parameters())  # kept alive, so that no identity is used twice
            with _seeded(seed), _told_by_peft(model, tuning):
                adapted = get_peft_model(model, config)
            runnable = _runnable(adapted)
            virtual_tokens = runnable.virtual_tokens if isinstance(runnable, PromptedEncoder) else 0
            return TunedModel(
                runnable,
                tuning,
                _expected(runnable, tuning, base=base),
                head,
                virtual_tokens=virtual_tokens,
                start=_start(adapted, tuning),
            )


def load_tuned(model: PreTrainedModel, folder: Path, tuning: Tuning) -> nn.Module:
    """Put what `TunedModel.save` wrote onto a fresh checkpoint, ready to be evaluated.

    Args:
        model: the checkpoint as it was before tuning; changed in place.
        folder: what was saved.
        tuning: the method that was.

    Raises:
        RecordError: the folder holds no stored weights.
    """
    match tuning:
        case NoTuning():
            return model.eval()
        case FullTuning() | HeadTuning():
            _require(folder, "*.safetensors")
            kind = type(model)
            return kind.from_pretrained(folder, dtype=model.dtype, use_safetensors=True).eval()
        case LoraTuning() | PrefixTuning() | PromptTuning() | PeftTuning():
            _require(folder, SAFETENSORS_WEIGHTS_NAME)
            return _runnable(PeftModel.from_pretrained(model, str(folder))).eval()


def _expected(
    model: nn.Module, tuning: AdapterTuning, *, base: list[nn.Parameter]
) -> frozenset[str]:
    """Everything a method of ours added to the checkpoint; of other methods what PEFT says."""
    if isinstance(tuning, PeftTuning):
        return frozenset(name for name, value in model.named_parameters() if value.requires_grad)
    known = {id(parameter) for parameter in base}
    return frozenset(name for name, value in model.named_parameters() if id(value) not in known)


def _start(adapted: PeftModel, tuning: AdapterTuning) -> dict[str, Tensor]:
    if not (isinstance(tuning, LoraTuning) and tuning.init in _MOVES_THE_BASE):
        return {}
    return {
        name: tensor.detach().clone()
        for name, tensor in _adapter_tensors(adapted).items()
        if ".lora_A." in name or ".lora_B." in name
    }


def _adapter_tensors(adapted: PeftModel) -> dict[str, Tensor]:
    return get_peft_model_state_dict(adapted, save_embedding_layers=False)


def _runnable(adapted: PeftModel) -> nn.Module:
    return PromptedEncoder(adapted) if adapted.active_peft_config.is_prompt_learning else adapted


def _names(model: nn.Module) -> frozenset[str]:
    return frozenset(name for name, _ in model.named_parameters())


def _require(folder: Path, pattern: str) -> None:
    if not any(folder.glob(pattern)):
        raise RecordError(
            f"{folder} holds no {pattern}.",
            hint="The run did not store its weights; run it again in an empty directory.",
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _told_by_peft(model: PreTrainedModel, tuning: AdapterTuning) -> Iterator[None]:
    """PEFT refuses what does not fit with every kind of exception; here it becomes one."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise TuningError(
            f"PEFT cannot apply '{tuning.kind}' to {type(model).__name__}: "
            f"{type(error).__name__}: {error}",
            hint="Change tuning.options, or choose another method: `tunelab methods` lists them.",
        ) from error
